#include "engine/engine.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "engine/drafter.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "quant/ggml_type.h"

namespace r1 {
namespace {

std::int64_t pages_for(std::int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

// Keys and values of a token must be whole blocks.
void check_blocks(const Model& model) {
  const ModelConfig& config = model.config();
  const auto block = static_cast<std::int64_t>(block_size(GgmlType::q8_0).values);
  const std::int64_t first = config.has_latent_attention()
                                 ? config.kv_lora_rank
                                 : config.num_key_value_heads * config.head_dim;
  if (model.precision() == Precision::bf16 && first % block == 0 &&
      config.kv_row_size() % block == 0) {
    return;
  }
  throw Error("kv cache",
              fmt::format("this model's keys and values cannot be kept in blocks of {}", block),
              "keep them as they are");
}

EngineOptions resolved(const EngineOptions& options, const Model& model) {
  const ModelConfig& config = model.config();
  const auto require = [](const char* name, std::int64_t value, std::int64_t least) {
    if (value < least) throw Error(name, fmt::format("{} is below {}", value, least));
  };
  require("pages", options.pages, 0);
  require("max_sequences", options.max_sequences, 1);
  require("max_batch_rows", options.max_batch_rows, 1);
  require("prefill_chunk", options.prefill_chunk, 1);
  if (options.kv_storage == KvStorage::q8_0) check_blocks(model);
  EngineOptions result = options;
  result.speculation = resolved_speculation(options.speculation, model);
  if (options.pages == 0) {
    const std::int64_t context = pages_for(config.max_position_embeddings);
    const std::int64_t memory = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
    const std::int64_t page_bytes =
        KvCache::bytes_per_page(config.num_hidden_layers + draft_layers(result.speculation),
                                config.kv_row_size(), model.precision(), options.kv_storage) +
        draft_bytes_per_page(result.speculation);
    const std::int64_t affordable = memory / 4 / page_bytes;
    const std::int64_t wanted =
        affordable / context < options.max_sequences ? affordable : context * options.max_sequences;
    result.pages = std::max<std::int64_t>(1, wanted);
  }
  return result;
}

void check_ids(std::span<const std::int32_t> ids, const ModelConfig& config) {
  if (ids.empty()) throw Error("prompt", "it is empty", "give at least one token");
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= config.vocab_size) {
      throw Error("prompt",
                  fmt::format("token {} is not below the vocabulary's {}", id, config.vocab_size),
                  "was it encoded with this model's tokenizer?");
    }
  }
}

void check_alternatives(std::int64_t count) {
  if (count >= 0 && count <= kMaxAlternatives) return;
  throw Error("alternatives", fmt::format("{} is not from 0 to {}", count, kMaxAlternatives));
}

}  // namespace

class Engine::Impl {
 public:
  Impl(Backend& backend, Model& model, const EngineOptions& options)
      : backend_(backend),
        model_(model),
        options_(resolved(options, model)),
        cache_(model.config().num_hidden_layers + draft_layers(options_.speculation),
               model.config().kv_row_size(), model.precision(), options_.pages,
               options_.kv_storage),
        drafter_(make_drafter(options_.speculation, model, cache_)),
        pool_(options_.pages),
        scheduler_(pool_, options_, stats_,
                   [this](std::int32_t from, std::int32_t to, std::int64_t rows) {
                     cache_.copy_rows(from, to, rows);
                     if (drafter_) drafter_->copy_rows(from, to, rows);
                   }),
        version_(model.version()) {
    batch_.cache = &cache_;
  }

  RequestId submit(Request request) {
    const ModelConfig& config = model_.config();
    check_ids(request.prompt, config);
    check_sampling(request.sampling);
    for (const auto& [id, bias] : request.sampling.logit_bias) {
      if (id >= 0 && id < config.vocab_size) continue;
      throw Error("logit_bias",
                  fmt::format("token {} is not below the vocabulary's {}", id, config.vocab_size));
    }
    check_alternatives(request.alternatives);
    if (request.max_tokens < 1) {
      throw Error("max_tokens", fmt::format("{} is below 1", request.max_tokens));
    }
    const std::int64_t prompt = std::ssize(request.prompt);
    const std::int64_t context = config.max_position_embeddings;
    if (prompt >= context) {
      throw Error("prompt",
                  fmt::format("{} tokens leave no room in the context of {}", prompt, context),
                  "shorten it");
    }
    auto sequence = std::make_unique<Sequence>();
    sequence->limit = prompt + std::min(request.max_tokens, context - prompt);
    // The last token is drawn, never computed.
    if (const std::int64_t pages = pages_for(sequence->limit - 1); pages > pool_.size()) {
      throw Error("request",
                  fmt::format("{} tokens need {} pages of the cache, which has {}", sequence->limit,
                              pages, pool_.size()),
                  "lower max_tokens, or give the engine more pages");
    }
    sequence->id = next_id_++;
    sequence->sampling = std::move(request.sampling);
    sequence->stop_tokens = std::move(request.stop_tokens);
    sequence->alternatives = request.alternatives;
    sequence->guide = std::move(request.guide);
    sequence->tokens = std::move(request.prompt);
    sequence->prompt_size = prompt;
    const RequestId id = sequence->id;
    scheduler_.submit(std::move(sequence));
    return id;
  }

  void cancel(RequestId id) {
    if (!scheduler_.remove(id)) return;
    pending_.push_back(ended(id, FinishReason::cancelled));
  }

  bool idle() const { return scheduler_.empty() && pending_.empty(); }

  std::vector<Event> step() {
    std::vector<Event> events = std::move(pending_);
    pending_.clear();
    if (version_ != model_.version()) {
      scheduler_.start_over();
      version_ = model_.version();
    }
    if (scheduler_.empty()) return events;

    const std::span<Scheduler::Item> plan = scheduler_.plan();
    R1_CHECK(!plan.empty(), "{} of {} pages are free", pool_.available(), pool_.size());
    assemble(plan);
    arena_.reset();
    const ForwardContext ctx{backend_, arena_, model_.precision(), nullptr};
    const Tensor states = model_.forward(ctx, batch_);
    sampler_.draw(ctx, states, draw_rows_, model_.head(), draws_);
    accept(plan, events);
    if (drafter_) propose(ctx, states, plan);
    scheduler_.advance();
    ++stats_.steps;
    return events;
  }

  std::vector<Completion> generate(std::span<const Request> requests,
                                   const std::function<void(std::int64_t)>& progress) {
    R1_CHECK(scheduler_.empty(), "other sequences are under way, the next id is {}", next_id_);
    pending_.clear();
    const RequestId first = next_id_;
    std::vector<Completion> completions(requests.size());
    std::int64_t finished = 0;
    try {
      for (const Request& request : requests) submit(request);
      while (!idle()) {
        for (Event& event : step()) {
          if (event.finished && event.finish == FinishReason::failed) {
            throw Error(fmt::format("request {}", event.id - first), event.error);
          }
          Completion& completion = completions[event.id - first];
          if (event.token.id >= 0) {
            if (completion.tokens.empty()) completion.weights_version = version_;
            completion.tokens.push_back(event.token);
          }
          if (!event.finished) continue;
          completion.finish = event.finish;
          completion.speculation = std::move(event.speculation);
          ++finished;
        }
        if (progress) progress(finished);
      }
    } catch (...) {
      for (RequestId id = first; id < next_id_; ++id) scheduler_.remove(id);
      pending_.clear();
      throw;
    }
    return completions;
  }

  std::vector<float> score(std::span<const std::int32_t> ids, float temperature,
                           std::vector<float>* entropies) {
    SamplingParams sampling;
    sampling.temperature = temperature;
    check_sampling(sampling);
    check_scored(ids);
    std::vector<float> log_probs(ids.size() - 1);
    if (entropies != nullptr) entropies->resize(log_probs.size());
    read_alone(ids, [&](const ForwardContext& ctx, const Tensor& states, std::size_t start,
                        std::size_t rows) {
      const Tensor part = token_log_probs(ctx, states, model_.head(), ids.subspan(start + 1, rows),
                                          temperature_inverse(temperature),
                                          entropies == nullptr ? nullptr : &(*entropies)[start]);
      std::copy_n(part.data, rows, log_probs.data() + start);
    });
    return log_probs;
  }

  std::vector<ScoredToken> score_tokens(std::span<const std::int32_t> ids,
                                        std::int64_t alternatives) {
    check_scored(ids);
    check_alternatives(alternatives);
    const SamplingParams sampling;
    std::vector<ScoredToken> scored;
    read_alone(ids, [&](const ForwardContext& ctx, const Tensor& states, std::size_t start,
                        std::size_t rows) {
      std::vector<Sampler::Draw> draws;
      std::vector<std::int32_t> chosen;
      for (std::size_t i = 0; i < rows; ++i) {
        chosen.push_back(static_cast<std::int32_t>(i));
        draws.push_back({.params = &sampling,
                         .tokens = ids.first(start + i + 1),
                         .choice = {.forced = ids[start + i + 1]},
                         .wanted_alternatives = alternatives});
      }
      sampler_.draw(ctx, states, chosen, model_.head(), draws);
      for (Sampler::Draw& draw : draws) {
        if (draw.failed) throw Error("prompt", "the model's logits are not finite numbers");
        scored.push_back({draw.token, std::move(draw.alternatives)});
      }
    });
    return scored;
  }

  const Scheduler& scheduler() const { return scheduler_; }
  const EngineStats& stats() const { return stats_; }
  const PagePool& pool() const { return pool_; }

 private:
  void check_scored(std::span<const std::int32_t> ids) const {
    check_ids(ids, model_.config());
    const std::int64_t context = model_.config().max_position_embeddings;
    if (std::ssize(ids) <= context) return;
    throw Error("prompt",
                fmt::format("{} tokens are more than the context of {}", ids.size(), context));
  }

  // Computes the states of all ids but the last, which is scored, never computed, and gives them to
  // `each` as they come: (ctx, states [rows, hidden], position of the first, rows). They have a
  // cache of their own: the sequences under way stay.
  template <typename Each>
  void read_alone(std::span<const std::int32_t> ids, const Each& each) {
    const ModelConfig& config = model_.config();
    const auto inputs = ids.first(ids.size() - 1);
    std::vector<std::int32_t> pages(static_cast<std::size_t>(pages_for(std::ssize(inputs))));
    for (std::size_t i = 0; i < pages.size(); ++i) pages[i] = static_cast<std::int32_t>(i);
    KvCache cache(config.num_hidden_layers, config.kv_row_size(), model_.precision(),
                  std::ssize(pages), options_.kv_storage);
    const auto chunk = static_cast<std::size_t>(options_.max_batch_rows);
    for (std::size_t start = 0; start < inputs.size(); start += chunk) {
      const std::size_t rows = std::min(chunk, inputs.size() - start);
      Batch batch;
      batch.cache = &cache;
      batch.append(inputs.subspan(start, rows), static_cast<std::int64_t>(start), pages);
      arena_.reset();
      const ForwardContext ctx{backend_, arena_, model_.precision(), nullptr};
      each(ctx, model_.forward(ctx, batch), start, rows);
    }
  }

  static Event ended(RequestId id, FinishReason reason, std::string error = {}) {
    return {id, {-1, 0.0f, 0.0f}, true, reason, std::move(error)};
  }

  // The rows of the pass, and what is to be drawn from them: the token after a sequence's last one
  // and after each of its proposals.
  void assemble(std::span<const Scheduler::Item> plan) {
    batch_.clear();
    draw_rows_.clear();
    draws_.clear();
    for (const Scheduler::Item& item : plan) {
      const Sequence& sequence = *item.sequence;
      batch_.append(sequence.part(sequence.computed, item.rows), sequence.computed,
                    sequence.run.pages);
      if (!item.draws) continue;
      for (std::int64_t i = 0; i <= sequence.drafted; ++i) {
        draw_rows_.push_back(static_cast<std::int32_t>(batch_.rows() - 1 - sequence.drafted + i));
        draws_.push_back({.params = &sequence.sampling,
                          .tokens = sequence.part(0, sequence.size() + i),
                          .prompt_size = static_cast<std::size_t>(sequence.prompt_size),
                          .choice = sequence.guide ? sequence.guide->next() : TokenGuide::Choice(),
                          .wanted_alternatives = sequence.alternatives});
      }
    }
  }

  // Appends what was drawn for each sequence: one token, and one more for each proposal that was
  // right. A draw after a wrong one was made from the wrong text.
  void accept(std::span<Scheduler::Item> plan, std::vector<Event>& events) {
    std::span<Sampler::Draw> draws = draws_;
    for (Scheduler::Item& item : plan) {
      item.kept = item.rows;
      if (!item.draws) continue;
      const auto count = static_cast<std::size_t>(item.sequence->drafted + 1);
      accept(item, draws.first(count), events);
      draws = draws.subspan(count);
    }
  }

  void accept(Scheduler::Item& item, std::span<Sampler::Draw> draws, std::vector<Event>& events) {
    Sequence& sequence = *item.sequence;
    const auto proposals = sequence.part(sequence.size(), sequence.drafted);
    proposals_.assign(proposals.begin(), proposals.end());
    sequence.shorten_draft(0);
    std::size_t right = 0;
    for (Sampler::Draw& draw : draws) {
      if (draw.failed) {
        events.push_back(
            ended(sequence.id, FinishReason::failed, "the model's logits are not finite numbers"));
        item.finished = true;
        item.kept = 0;
        return;
      }
      events.push_back(append(sequence, draw.token));
      events.back().alternatives = std::move(draw.alternatives);
      if (sequence.guide) sequence.guide->take(draw.token.id);
      const bool agrees = right < proposals_.size() && proposals_[right] == draw.token.id;
      right += agrees;
      item.finished = events.back().finished;
      if (item.finished || !agrees) break;
    }
    // The newest token is drawn, not computed.
    item.kept = sequence.remaining() - 1;
    for (SpeculationStats* stats : {&sequence.speculation, &stats_.speculation}) {
      stats->add(std::ssize(proposals_), static_cast<std::int64_t>(right));
    }
    if (item.finished) events.back().speculation = sequence.speculation;
  }

  static Event append(Sequence& sequence, const SampledToken& token) {
    sequence.tokens.push_back(token.id);
    Event event{.id = sequence.id,
                .token = token,
                .finished = true,
                .finish = FinishReason::stop,
                .error = {},
                .shared_prompt_tokens = sequence.shared_prompt_tokens};
    if (std::ranges::find(sequence.stop_tokens, token.id) == sequence.stop_tokens.end()) {
      event.finish = FinishReason::length;
      event.finished = sequence.size() == sequence.limit;
    }
    return event;
  }

  void propose(const ForwardContext& ctx, const Tensor& states,
               std::span<const Scheduler::Item> plan) {
    draftees_.clear();
    std::int64_t first_row = 0;
    for (const Scheduler::Item& item : plan) {
      const bool goes_on = item.draws && !item.finished && !item.sequence->guide;
      const std::int64_t wanted =
          goes_on ? scheduler_.reserve(*item.sequence, options_.speculation.tokens) : 0;
      if (item.kept > 0) draftees_.push_back({item.sequence, first_row, item.kept, wanted});
      first_row += item.rows;
    }
    if (!draftees_.empty()) drafter_->propose(ctx, states, draftees_);
  }

  Backend& backend_;
  Model& model_;
  const EngineOptions options_;
  EngineStats stats_;
  KvCache cache_;
  std::unique_ptr<Drafter> drafter_;  // null without speculation
  PagePool pool_;
  Scheduler scheduler_;
  Sampler sampler_;
  Arena arena_;
  std::uint64_t version_;  // of the weights that filled the cache
  RequestId next_id_ = 1;
  std::vector<Event> pending_;

  // Of the current step; kept for their memory.
  Batch batch_;
  std::vector<std::int32_t> draw_rows_;
  std::vector<Sampler::Draw> draws_;     // in the order of the plan, each sequence's by position
  std::vector<std::int32_t> proposals_;  // of one sequence
  std::vector<Draftee> draftees_;
};

Engine::Engine(Backend& backend, Model& model, EngineOptions options)
    : impl_(std::make_unique<Impl>(backend, model, options)) {}
Engine::~Engine() = default;

RequestId Engine::submit(Request request) { return impl_->submit(std::move(request)); }
void Engine::cancel(RequestId id) { impl_->cancel(id); }
bool Engine::idle() const { return impl_->idle(); }
std::vector<Engine::Event> Engine::step() { return impl_->step(); }
std::vector<Completion> Engine::generate(std::span<const Request> requests,
                                         const std::function<void(std::int64_t)>& progress) {
  return impl_->generate(requests, progress);
}
std::vector<float> Engine::score(std::span<const std::int32_t> ids, float temperature,
                                 std::vector<float>* entropies) {
  return impl_->score(ids, temperature, entropies);
}
std::vector<Engine::ScoredToken> Engine::score_tokens(std::span<const std::int32_t> ids,
                                                      std::int64_t alternatives) {
  return impl_->score_tokens(ids, alternatives);
}
const EngineStats& Engine::stats() const { return impl_->stats(); }
std::int64_t Engine::pages() const { return impl_->pool().size(); }
std::int64_t Engine::free_pages() const { return impl_->pool().available(); }
std::int64_t Engine::running() const { return impl_->scheduler().running(); }
std::int64_t Engine::waiting() const { return impl_->scheduler().waiting(); }

}  // namespace r1
