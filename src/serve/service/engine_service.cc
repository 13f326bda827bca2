#include "serve/service/engine_service.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <utility>

#include "backend/attention_kernels.h"
#include "base/error.h"

namespace r1::serve {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::int64_t kForEver = -1;

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

std::int64_t memory_for(const ServerConfig& config) {
  return config.memory > 0 ? config.memory : machine_memory() / 4 * 3;
}

int threads_for(const ServerConfig& config) {
  if (config.threads > 0) return config.threads;
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

// Pages for as many whole contexts as run at once, but at most an eighth of the memory.
EngineOptions engine_options(const CatalogEntry& entry, const ServerConfig& config,
                             std::int64_t memory) {
  EngineOptions options;
  options.max_sequences = config.limits.running_sequences;
  options.kv_storage = config.kv_storage;
  const std::int64_t page_bytes =
      KvCache::bytes_per_page(entry.config.num_hidden_layers, entry.config.kv_row_size(),
                              Precision::bf16, config.kv_storage);
  const std::int64_t context = (entry.context() + kPageTokens - 1) / kPageTokens;
  options.pages =
      std::clamp<std::int64_t>(memory / 8 / page_bytes, context, context * options.max_sequences);
  return options;
}

std::int64_t cache_bytes(const CatalogEntry& entry, const EngineOptions& options) {
  return options.pages * KvCache::bytes_per_page(entry.config.num_hidden_layers,
                                                 entry.config.kv_row_size(), Precision::bf16,
                                                 options.kv_storage);
}

ApiError overloaded(const std::string& message) {
  ApiError error(ApiError::Kind::overloaded, message, {}, "overloaded");
  error.retry_after = 1;
  return error;
}

}  // namespace

struct EngineService::Job {
  PreparedRequest request;
  std::shared_ptr<AnswerQueue> answer;
  SteadyClock::time_point submitted = SteadyClock::now(), deadline{};
  double queue_seconds = 0.0, load_seconds = 0.0;
  bool started = false;  // told so
  bool ended = false;
  std::vector<text::ReasoningStream> streams;   // one per sample
  std::vector<RequestId> ids;                   // 0: has ended
  std::vector<SteadyClock::time_point> newest;  // when each sample had its newest token
  std::size_t left = 0;
};

// A model that is loaded, or was or will be.
struct EngineService::Runner {
  const CatalogEntry* entry = nullptr;
  ModelMetrics* metrics = nullptr;
  EngineOptions options;
  std::unique_ptr<Model> model;
  std::unique_ptr<Engine> engine;
  double load_seconds = 0.0;
  std::int64_t keep_alive = 0;
  SteadyClock::time_point last_used{};
  std::vector<std::shared_ptr<Job>> jobs;
  struct Place {
    Job* job;
    std::size_t sample;
  };
  std::unordered_map<RequestId, Place> places;

  bool loaded() const { return engine != nullptr; }
  std::int64_t bytes() const { return entry->weight_bytes + cache_bytes(*entry, options); }
  bool expires() const { return keep_alive != kForEver; }
};

struct EngineService::LoadRequest {
  const CatalogEntry* entry;
  std::optional<std::int64_t> keep_alive;
  std::function<void(const std::string&)> done;
};

EngineService::EngineService(const Catalog& catalog, const ServerConfig& config, Metrics& metrics)
    : catalog_(catalog),
      config_(config),
      metrics_(metrics),
      memory_(memory_for(config)),
      backend_(threads_for(config)) {
  for (const auto& entry : catalog_.entries()) {
    auto runner = std::make_unique<Runner>();
    runner->entry = entry.get();
    runner->metrics = &metrics_.model(entry->name);
    runner->options = engine_options(*entry, config_, memory_);
    runner->keep_alive = config_.keep_alive;
    runners_.push_back(std::move(runner));
  }
  publish_states();
  thread_ = std::thread([this] { run(); });
}

EngineService::~EngineService() { stop(); }

void EngineService::stop() {
  if (!thread_.joinable()) return;
  draining_ = true;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake();
  thread_.join();
  // No thread is left: nobody else touches these any more.
  const ApiError error = overloaded("the server is shutting down");
  for (const LoadRequest& order : std::exchange(load_requests_, {})) order.done(error.what());
  for (auto* jobs : {&submitted_, &waiting_}) {
    for (const auto& job : std::exchange(*jobs, {})) fail(*job, error);
  }
  for (const auto& runner : runners_) fail_all(*runner, error);
}

void EngineService::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

void EngineService::submit(PreparedRequest request, std::shared_ptr<AnswerQueue> answer) {
  if (draining_) throw overloaded("the server is shutting down");
  const auto sequences = std::max<std::int64_t>(1, std::ssize(request.samples));
  if (under_way_.fetch_add(sequences) + sequences > config_.limits.queued_sequences) {
    under_way_ -= sequences;
    throw overloaded("too many requests are waiting already");
  }
  auto job = std::make_shared<Job>();
  job->request = std::move(request);
  job->answer = std::move(answer);
  job->deadline = job->submitted + config_.limits.request_time;
  {
    const std::lock_guard lock(mutex_);
    submitted_.push_back(std::move(job));
  }
  wake();
}

void EngineService::load(const CatalogEntry& entry, std::optional<std::int64_t> keep_alive,
                         std::function<void(const std::string&)> done) {
  {
    const std::lock_guard lock(mutex_);
    load_requests_.push_back({&entry, keep_alive, std::move(done)});
  }
  wake();
}

void EngineService::unload(const CatalogEntry& entry) {
  {
    const std::lock_guard lock(mutex_);
    unload_requests_.push_back(&entry);
  }
  wake();
}

std::vector<ModelState> EngineService::states() const {
  const std::lock_guard lock(mutex_);
  return states_;
}

void EngineService::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      const bool busy = std::ranges::any_of(
          runners_, [](const auto& runner) { return runner->loaded() && !runner->engine->idle(); });
      if (!busy && !woken_) {
        // Models that expire, and requests whose time is over, are looked after in between.
        changed_.wait_for(lock, std::chrono::seconds(1), [&] { return woken_; });
      }
      woken_ = false;
      if (stop_) break;
    }
    take_orders();
    start_waiting();
    for (const auto& runner : runners_) {
      drop_unwanted(*runner);
      if (runner->loaded() && !runner->engine->idle()) step(*runner);
    }
    unload_expired();
    publish_states();
  }
}

void EngineService::take_orders() {
  std::vector<std::shared_ptr<Job>> submitted;
  std::vector<LoadRequest> loads;
  std::vector<const CatalogEntry*> unloads;
  {
    const std::lock_guard lock(mutex_);
    submitted.swap(submitted_);
    loads.swap(load_requests_);
    unloads.swap(unload_requests_);
  }
  waiting_.insert(waiting_.end(), submitted.begin(), submitted.end());
  for (LoadRequest& order : loads) {
    Runner& runner = *runner_for(*order.entry);
    std::string problem;
    try {
      if (!runner.loaded() && !make_room(runner.bytes())) {
        problem = "there is no memory for it while other models are at work";
      } else {
        load_runner(runner);
        runner.keep_alive = order.keep_alive.value_or(config_.keep_alive);
        runner.last_used = SteadyClock::now();
      }
    } catch (const std::exception& error) {
      problem = error.what();
    }
    publish_states();
    order.done(problem);
  }
  for (const CatalogEntry* entry : unloads) {
    Runner& runner = *runner_for(*entry);
    runner.keep_alive = 0;  // once it is idle
  }
}

EngineService::Runner* EngineService::runner_for(const CatalogEntry& entry) {
  return std::ranges::find(runners_, &entry, [](const auto& runner) { return runner->entry; })
      ->get();
}

void EngineService::load_runner(Runner& runner) {
  if (runner.loaded()) return;
  const SteadyClock::time_point began = SteadyClock::now();
  runner.model = Model::load(backend_, runner.entry->path, config_.load);
  runner.engine = std::make_unique<Engine>(backend_, *runner.model, runner.options);
  runner.load_seconds = seconds_since(began);
  runner.last_used = SteadyClock::now();
}

// Unloads idle models, those unused for longest first, until the bytes fit the budget.
bool EngineService::make_room(std::int64_t bytes) {
  for (;;) {
    std::int64_t used = 0;
    Runner* oldest = nullptr;
    for (const auto& runner : runners_) {
      if (!runner->loaded()) continue;
      used += runner->bytes();
      if (runner->jobs.empty() && (oldest == nullptr || runner->last_used < oldest->last_used)) {
        oldest = runner.get();
      }
    }
    // One model alone is always tried: its own budget is --memory's matter.
    if (used == 0 || used + bytes <= memory_) return true;
    if (oldest == nullptr) return false;
    oldest->engine.reset();
    oldest->model.reset();
  }
}

// Starts what waits, in order; those whose model cannot be loaded yet go on waiting.
bool EngineService::start_waiting() {
  std::vector<std::shared_ptr<Job>> still;
  for (const auto& job : std::exchange(waiting_, {})) {
    if (job->answer->abandoned()) {
      fail(*job, overloaded("abandoned"));
    } else if (SteadyClock::now() > job->deadline) {
      fail(*job, ApiError(ApiError::Kind::timeout, "the request waited for too long"));
    } else if (!start(job)) {
      still.push_back(job);
    }
  }
  waiting_ = std::move(still);
  return !waiting_.empty();
}

// False if its model has no place yet.
bool EngineService::start(const std::shared_ptr<Job>& job) {
  Runner& runner = *runner_for(*job->request.model);
  if (!runner.loaded()) {
    if (!make_room(runner.bytes())) return false;
    try {
      load_runner(runner);
    } catch (const std::exception& error) {
      fail(*job, ApiError(ApiError::Kind::internal, error.what()));
      return true;
    }
    job->load_seconds = runner.load_seconds;
  }
  try {
    runner.keep_alive = job->request.keep_alive.value_or(config_.keep_alive);
    runner.last_used = SteadyClock::now();
    PreparedRequest& request = job->request;
    job->queue_seconds = seconds_since(job->submitted) - job->load_seconds;
    if (request.score_prompt) {
      PromptScored scored;
      if (request.prompt.size() > 1) {
        for (Engine::ScoredToken& score :
             runner.engine->score_tokens(request.prompt, request.alternatives)) {
          scored.tokens.push_back({.id = score.token.id,
                                   .log_prob = score.token.log_prob,
                                   .entropy = score.token.entropy,
                                   .alternatives = std::move(score.alternatives)});
        }
      }
      job->answer->push(std::move(scored));
    }
    job->left = request.samples.size();
    if (job->left == 0) {
      job->answer->push(AnswerStarted{});
      job->ended = true;
      under_way_ -= 1;
      return true;
    }
    job->newest.resize(job->left);
    for (std::size_t i = 0; i < request.samples.size(); ++i) {
      request.samples[i].prompt = request.prompt;
      const RequestId id = runner.engine->submit(std::move(request.samples[i]));
      job->ids.push_back(id);
      job->streams.emplace_back(job->request.model->side.tokenizer, request.stream);
      runner.places.emplace(id, Runner::Place{job.get(), i});
    }
    runner.jobs.push_back(job);
  } catch (const Error& error) {
    for (const RequestId id : job->ids) {
      runner.engine->cancel(id);
      runner.places.erase(id);
    }
    fail(*job, ApiError(ApiError::Kind::invalid, error.what()));
  } catch (const std::exception& error) {
    fail(*job, ApiError(ApiError::Kind::internal, error.what()));
  }
  return true;
}

// Cancels what nobody reads any more, and what takes too long.
void EngineService::drop_unwanted(Runner& runner) {
  const SteadyClock::time_point now = SteadyClock::now();
  const auto unwanted = [&](const std::shared_ptr<Job>& job) {
    return now > job->deadline || job->answer->abandoned();
  };
  if (std::ranges::none_of(runner.jobs, unwanted)) return;
  for (const auto& job : std::vector(runner.jobs)) {
    if (!unwanted(job)) continue;
    for (RequestId& id : job->ids) {
      if (id == 0) continue;
      runner.engine->cancel(id);
      runner.places.erase(id);
    }
    std::erase(runner.jobs, job);
    fail(*job, ApiError(ApiError::Kind::timeout, "the request took too long"));
  }
}

void EngineService::step(Runner& runner) {
  try {
    const EngineStats& stats = runner.engine->stats();
    const std::int64_t rows = stats.prefill_rows + stats.decode_rows;
    std::vector<Engine::Event> events = runner.engine->step();
    runner.metrics->step(stats.prefill_rows + stats.decode_rows - rows);
    for (Engine::Event& event : events) give_out(runner, std::move(event));
    runner.last_used = SteadyClock::now();
  } catch (const std::exception& error) {
    // What the engine holds is unknown now: all of it goes, and the next request loads anew.
    fail_all(runner, ApiError(ApiError::Kind::internal, error.what()));
    runner.engine.reset();
    runner.model.reset();
  }
}

void EngineService::give_out(Runner& runner, Engine::Event event) {
  const auto place = runner.places.find(event.id);
  if (place == runner.places.end()) return;  // cancelled, or beyond its stop string
  Job& job = *place->second.job;
  const std::size_t sample = place->second.sample;
  if (event.finished && event.finish == FinishReason::failed) {
    const ApiError error(ApiError::Kind::internal, event.error);
    for (const RequestId id : job.ids) {
      if (id != 0 && id != event.id) runner.engine->cancel(id);
      runner.places.erase(id);
    }
    std::shared_ptr<Job> owner;
    for (const auto& held : runner.jobs) {
      if (held.get() == &job) owner = held;
    }
    std::erase(runner.jobs, owner);
    fail(job, error);
    return;
  }
  if (!job.started) {
    job.started = true;
    job.answer->push(AnswerStarted{
        .cached_tokens = event.shared_prompt_tokens,
        .queue_seconds = job.queue_seconds,
        .load_seconds = job.load_seconds,
        .prefill_seconds = seconds_since(job.submitted) - job.queue_seconds - job.load_seconds});
  }
  SteadyClock::time_point& newest = job.newest[sample];
  const SteadyClock::time_point now = SteadyClock::now();
  if (newest != SteadyClock::time_point()) {
    runner.metrics->token_after(std::chrono::duration<double>(now - newest).count());
  }
  newest = now;
  text::ReasoningStream& stream = job.streams[sample];
  AnswerProgress progress{.sample = sample, .token = {}, .pieces = {}, .ending = {}};
  progress.seconds = seconds_since(job.submitted);
  text::ReasoningStream::Step read = stream.push(event.token.id);
  progress.token = AnswerToken{.id = event.token.id,
                               .log_prob = event.token.log_prob,
                               .entropy = event.token.entropy,
                               .alternatives = std::move(event.alternatives),
                               .section = read.section,
                               .tag = read.tag};
  progress.pieces = std::move(read.pieces);
  if (stream.stopped()) {
    progress.ending = AnswerEnding{FinishReason::stop, stream.stop_found()};
    if (!event.finished) runner.engine->cancel(event.id);
  } else if (event.finished) {
    for (text::SectionEvent& piece : stream.finish()) progress.pieces.push_back(std::move(piece));
    progress.ending = stream.stopped() ? AnswerEnding{FinishReason::stop, stream.stop_found()}
                                       : AnswerEnding{event.finish, {}};
  }
  const bool ended = progress.ending.has_value();
  job.answer->push(std::move(progress));
  if (ended) finish_sample(runner, job, sample);
}

void EngineService::finish_sample(Runner& runner, Job& job, std::size_t sample) {
  runner.places.erase(job.ids[sample]);
  job.ids[sample] = 0;
  --under_way_;
  if (--job.left > 0) return;
  job.ended = true;
  runner.last_used = SteadyClock::now();
  std::erase_if(runner.jobs, [&](const auto& held) { return held.get() == &job; });
}

void EngineService::fail(Job& job, const ApiError& error) {
  if (std::exchange(job.ended, true)) return;
  const std::int64_t ended = job.ids.empty() ? 0 : std::ranges::count(job.ids, RequestId{0});
  const auto sequences = std::max<std::int64_t>(1, std::ssize(job.request.samples));
  under_way_ -= sequences - ended;
  job.answer->push(AnswerFailed{error});
}

void EngineService::fail_all(Runner& runner, const ApiError& error) {
  for (const auto& job : std::exchange(runner.jobs, {})) fail(*job, error);
  runner.places.clear();
}

void EngineService::unload_expired() {
  for (const auto& runner : runners_) {
    if (!runner->loaded() || !runner->jobs.empty() || !runner->expires()) continue;
    if (SteadyClock::now() - runner->last_used < std::chrono::seconds(runner->keep_alive)) continue;
    runner->engine.reset();
    runner->model.reset();
  }
}

void EngineService::publish_states() {
  constexpr auto kBetween = std::chrono::milliseconds(20);
  if (SteadyClock::now() - published_ < kBetween && under_way_ > 0) return;
  published_ = SteadyClock::now();
  std::vector<ModelState> states;
  const auto now = std::chrono::system_clock::now();
  for (const auto& runner : runners_) {
    ModelState state;
    state.entry = runner->entry;
    state.loaded = runner->loaded();
    if (runner->loaded()) {
      state.bytes = runner->bytes();
      state.pages = runner->engine->pages();
      state.free_pages = runner->engine->free_pages();
      state.stats = runner->engine->stats();
      state.running = runner->engine->running();
      state.waiting = runner->engine->waiting();
      runner->metrics->update({.running = state.running,
                               .waiting = state.waiting,
                               .pages = state.pages,
                               .used_pages = state.pages - state.free_pages,
                               .preemptions = state.stats.preemptions});
      if (runner->expires()) {
        const auto idle = std::chrono::duration_cast<std::chrono::seconds>(SteadyClock::now() -
                                                                           runner->last_used);
        state.expires =
            std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch() - idle)
                .count() +
            runner->keep_alive;
      }
    }
    states.push_back(std::move(state));
  }
  const std::lock_guard lock(mutex_);
  states_ = std::move(states);
}

}  // namespace r1::serve
