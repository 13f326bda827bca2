#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "serve/accounts/money.h"
#include "serve/metrics/request_record.h"

// What a server counts, as Prometheus text: under vLLM's names (prefix "vllm:", labels model_name
// and engine), so that boards made for it show R1, and under "r1:" what vLLM has no name for.
// docs/operating.md lists them.
namespace r1::serve {

// An engine at one moment. Totals only grow while it lives.
struct EngineSnapshot {
  std::int64_t running = 0, waiting = 0;  // sequences
  std::int64_t pages = 0;                 // of the KV cache
  std::int64_t used_pages = 0;            // that a running sequence refers to
  std::int64_t cached_pages = 0;          // that only the prefix cache remembers
  std::int64_t preemptions = 0;           // total
  std::int64_t drafts = 0, draft_tokens = 0, accepted_tokens = 0;  // totals of speculation
};

// The series of one model. Counters are atomic; all calls are thread-safe and cost well below a
// microsecond, so they may be made for every token.
class ModelMetrics {
 public:
  ~ModelMetrics();

  // Seconds between two tokens of one sequence.
  void token_after(double seconds);
  // One forward pass with this many rows.
  void step(std::int64_t rows);
  // Gauges as they are; of totals, what they grew by since the last snapshot. A total that is
  // smaller than before belongs to a new engine and counts from zero.
  void update(const EngineSnapshot& engine);
  void charged(Money amount, const std::string& currency);

 private:
  friend class Metrics;
  struct Series;
  explicit ModelMetrics(std::unique_ptr<Series> series);
  std::unique_ptr<Series> series_;
};

class Metrics {
 public:
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

  Metrics();
  ~Metrics();

  // The model's series, made at the first call; the reference stays good. Only for names of models
  // that there are: each is a label for ever.
  ModelMetrics& model(const std::string& name);

  // Counts a request that ended, refused ones too. One for a model that model() never named is
  // counted by endpoint and status alone.
  void finished(const RequestRecord& record);
  void connections(std::int64_t open);

  // The exposition, for GET /metrics.
  std::string text() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace r1::serve
