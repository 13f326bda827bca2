#include "serve/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"

namespace r1::serve {
namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;
using Bounds = Histogram::BucketBoundaries;

// vLLM's bounds (vllm/v1/metrics/loggers.py); between tokens with some more at the lower end, where
// small models are.
const Bounds kFirstTokenSeconds = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,  .75,
                                   1,    2.5,  5,   7.5, 10,  20,  40,  80, 160, 640, 2560};
const Bounds kTokenSeconds = {.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .15, .2, .3,
                              .4,    .5,   .75,   1,    2.5, 5,    7.5, 10,   20, 40,  80};
const Bounds kRequestSeconds = {.3, .5, .8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};
const Bounds kRequestTokens = {1,    2,    5,    10,    20,    50,    100,    200,   500,
                               1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000};
const Bounds kStepRows = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
const Bounds kChoices = {1, 2, 5, 10, 20, 50, 128};

constexpr std::array kFinishReasons = {"stop", "length", "tool_calls", "abort"};

// What a total grew by since it was seen last.
class Growth {
 public:
  double since_last(std::int64_t total) {
    const std::int64_t before = std::exchange(last_, total);
    return static_cast<double>(total >= before ? total - before : total);
  }

 private:
  std::int64_t last_ = 0;
};

// Makes series of one model in a registry.
class Maker {
 public:
  Maker(prometheus::Registry& registry, Labels labels)
      : registry_(registry), labels_(std::move(labels)) {}

  Counter& counter(const char* name, const char* help, const Labels& more = {}) const {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add(with(more));
  }
  Gauge& gauge(const char* name, const char* help) const {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels_);
  }
  Histogram& histogram(const char* name, const char* help, const Bounds& bounds) const {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_).Add(labels_,
                                                                                      bounds);
  }

 private:
  Labels with(const Labels& more) const {
    Labels all = labels_;
    all.insert(more.begin(), more.end());
    return all;
  }

  prometheus::Registry& registry_;
  Labels labels_;
};

void observe(Histogram& histogram, std::optional<double> value) {
  if (value) histogram.Observe(*value);
}

double real(std::int64_t count) { return static_cast<double>(count); }

}  // namespace

struct ModelMetrics::Series {
  explicit Series(const Maker& make)
      : maker(make),
        running(make.gauge("vllm:num_requests_running", "Sequences that are computed.")),
        waiting(make.gauge("vllm:num_requests_waiting", "Sequences that wait for a place.")),
        cache_usage(make.gauge("vllm:kv_cache_usage_perc",
                               "Share of KV pages that running sequences use, 1 for all.")),
        pages(make.gauge("r1:kv_pages", "KV pages that there are.")),
        used_pages(make.gauge("r1:kv_pages_used", "KV pages that running sequences use.")),
        cached_pages(
            make.gauge("r1:kv_pages_cached", "KV pages that only the prefix cache remembers.")),
        prompt_tokens(make.counter("vllm:prompt_tokens_total", "Prompt tokens, cached or not.")),
        generation_tokens(
            make.counter("vllm:generation_tokens_total", "Tokens of thinking and answers.")),
        thinking_tokens(make.counter("r1:thinking_tokens_total", "Tokens of thinking.")),
        cache_queries(make.counter("vllm:prefix_cache_queries_total",
                                   "Prompt tokens that the prefix cache was asked for.")),
        cache_hits(make.counter("vllm:prefix_cache_hits_total", "Prompt tokens that it had.")),
        preemptions(
            make.counter("vllm:num_preemptions_total", "Sequences that gave their pages back.")),
        drafts(make.counter("vllm:spec_decode_num_drafts_total", "Drafts of speculation.")),
        draft_tokens(make.counter("vllm:spec_decode_num_draft_tokens_total", "Tokens drafted.")),
        accepted_tokens(make.counter("vllm:spec_decode_num_accepted_tokens_total",
                                     "Drafted tokens that were right.")),
        first_token(make.histogram("vllm:time_to_first_token_seconds",
                                   "From the request to its first token.", kFirstTokenSeconds)),
        between_tokens(make.histogram("vllm:inter_token_latency_seconds",
                                      "Between two tokens of a sequence.", kTokenSeconds)),
        total(make.histogram("vllm:e2e_request_latency_seconds",
                             "From the request to the end of its reply.", kRequestSeconds)),
        queue(make.histogram("vllm:request_queue_time_seconds", "Waiting for a place.",
                             kRequestSeconds)),
        prefill(make.histogram("vllm:request_prefill_time_seconds", "Reading the prompt.",
                               kRequestSeconds)),
        decode(make.histogram("vllm:request_decode_time_seconds",
                              "From the first token to the last.", kRequestSeconds)),
        inference(make.histogram("vllm:request_inference_time_seconds",
                                 "Reading the prompt and writing the reply.", kRequestSeconds)),
        request_prompt(make.histogram("vllm:request_prompt_tokens", "Prompt tokens of a request.",
                                      kRequestTokens)),
        request_generation(make.histogram("vllm:request_generation_tokens",
                                          "Tokens made for a request.", kRequestTokens)),
        choices(make.histogram("vllm:request_params_n", "The n of a request.", kChoices)),
        max_tokens(make.histogram("vllm:request_params_max_tokens", "The max_tokens of a request.",
                                  kRequestTokens)),
        step_rows(
            make.histogram("vllm:iteration_tokens_total", "Rows of a forward pass.", kStepRows)) {
    for (const char* reason : kFinishReasons) success(reason);
  }

  Counter& success(const std::string& reason) {
    return maker.counter("vllm:request_success_total", "Requests that made something.",
                         {{"finished_reason", reason}});
  }

  void finished(const RequestRecord& record) {
    const Usage& usage = record.usage;
    prompt_tokens.Increment(real(usage.prompt_tokens()));
    generation_tokens.Increment(real(usage.completion_tokens));
    thinking_tokens.Increment(real(usage.reasoning_tokens));
    cache_queries.Increment(real(usage.prompt_tokens()));
    cache_hits.Increment(real(usage.cache_hit_tokens));
    observe(first_token, record.time_to_first_token);
    observe(queue, record.queue);
    observe(prefill, record.prefill);
    observe(decode, record.decode);
    if (record.prefill && record.decode) inference.Observe(*record.prefill + *record.decode);
    const auto reason = std::ranges::find(kFinishReasons, record.finish_reason);
    if (reason == kFinishReasons.end()) return;
    success(*reason).Increment();
    total.Observe(record.total);
    request_prompt.Observe(real(usage.prompt_tokens()));
    request_generation.Observe(real(usage.completion_tokens));
    choices.Observe(real(record.choices));
    max_tokens.Observe(real(record.max_tokens));
  }

  Maker maker;
  Gauge &running, &waiting, &cache_usage, &pages, &used_pages, &cached_pages;
  Counter &prompt_tokens, &generation_tokens, &thinking_tokens, &cache_queries, &cache_hits;
  Counter &preemptions, &drafts, &draft_tokens, &accepted_tokens;
  Histogram &first_token, &between_tokens, &total, &queue, &prefill, &decode, &inference;
  Histogram &request_prompt, &request_generation, &choices, &max_tokens, &step_rows;

  std::mutex update_mutex;
  Growth preemptions_seen, drafts_seen, draft_tokens_seen, accepted_tokens_seen;
};

ModelMetrics::ModelMetrics(std::unique_ptr<Series> series) : series_(std::move(series)) {}
ModelMetrics::~ModelMetrics() = default;

void ModelMetrics::token_after(double seconds) { series_->between_tokens.Observe(seconds); }
void ModelMetrics::step(std::int64_t rows) { series_->step_rows.Observe(real(rows)); }

void ModelMetrics::update(const EngineSnapshot& engine) {
  Series& series = *series_;
  const std::lock_guard guard(series.update_mutex);
  series.running.Set(real(engine.running));
  series.waiting.Set(real(engine.waiting));
  series.cache_usage.Set(engine.pages > 0 ? real(engine.used_pages) / real(engine.pages) : 0.0);
  series.pages.Set(real(engine.pages));
  series.used_pages.Set(real(engine.used_pages));
  series.cached_pages.Set(real(engine.cached_pages));
  series.preemptions.Increment(series.preemptions_seen.since_last(engine.preemptions));
  series.drafts.Increment(series.drafts_seen.since_last(engine.drafts));
  series.draft_tokens.Increment(series.draft_tokens_seen.since_last(engine.draft_tokens));
  series.accepted_tokens.Increment(series.accepted_tokens_seen.since_last(engine.accepted_tokens));
}

void ModelMetrics::charged(Money amount, const std::string& currency) {
  series_->maker.counter("r1:charged_total", "What requests cost.", {{"currency", currency}})
      .Increment(real(amount.picos()) / real(Money::kPicosPerUnit));
}

class Metrics::Impl {
 public:
  Impl()
      : requests(prometheus::BuildCounter()
                     .Name("r1:requests_total")
                     .Help("HTTP requests by endpoint and status.")
                     .Register(registry)),
        errors(prometheus::BuildCounter()
                   .Name("r1:errors_total")
                   .Help("Requests that got no answer, by the error's code.")
                   .Register(registry)),
        open_connections(prometheus::BuildGauge()
                             .Name("r1:connections")
                             .Help("Connections of clients.")
                             .Register(registry)
                             .Add({})) {}

  prometheus::Registry registry;
  prometheus::Family<Counter>& requests;
  prometheus::Family<Counter>& errors;
  Gauge& open_connections;
  std::mutex mutex;  // of models
  std::map<std::string, std::unique_ptr<ModelMetrics>> models;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

ModelMetrics& Metrics::model(const std::string& name) {
  const std::lock_guard guard(impl_->mutex);
  std::unique_ptr<ModelMetrics>& found = impl_->models[name];
  if (!found) {
    const Maker maker(impl_->registry, {{"model_name", name}, {"engine", "0"}});
    found.reset(new ModelMetrics(std::make_unique<ModelMetrics::Series>(maker)));
  }
  return *found;
}

void Metrics::finished(const RequestRecord& record) {
  impl_->requests.Add({{"endpoint", record.endpoint}, {"status", fmt::format("{}", record.status)}})
      .Increment();
  if (!record.error.empty()) impl_->errors.Add({{"code", record.error}}).Increment();
  ModelMetrics* model = nullptr;
  {
    const std::lock_guard guard(impl_->mutex);
    const auto found = impl_->models.find(record.model);
    if (found != impl_->models.end()) model = found->second.get();
  }
  if (model != nullptr) model->series_->finished(record);
}

void Metrics::connections(std::int64_t open) { impl_->open_connections.Set(real(open)); }

std::string Metrics::text() const {
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace r1::serve
