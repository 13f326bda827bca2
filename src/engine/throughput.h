#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/model.h"

namespace r1 {

// How fast a model reads prompts and draws tokens, through the engine that serves requests.
struct ThroughputTest {
  enum class Kind { prefill, decode } kind;
  std::int64_t tokens;         // of the prompt, or drawn by each sequence
  std::int64_t depth = 0;      // tokens that are in the cache before
  std::int64_t sequences = 1;  // that decode together
  std::string name() const;    // "pp512", "tg128 @ d4096", "tg128 x 16"
};

struct ThroughputResult {
  ThroughputTest test;
  double tokens_per_second = 0;  // all sequences together; median of the repetitions
  double best = 0;
  // The same while a loop only reads the bytes that one step needs, interleaved with the steps: the
  // step's share of that limit (median). 0 where it was not asked for.
  double share_of_bandwidth = 0;
};

struct ThroughputOptions {
  std::int64_t repetitions = 3;
  // Bytes of weights that one decoding step reads; 0: the limit is not measured.
  double bytes_per_step = 0;
  KvStorage kv_storage = KvStorage::plain;
};

// Runs the tests one after the other; `done` is told each result. Throws Error for a test that does
// not fit the model's context.
std::vector<ThroughputResult> measure_throughput(
    Backend& backend, Model& model, const std::vector<ThroughputTest>& tests,
    const ThroughputOptions& options, const std::function<void(const ThroughputResult&)>& done);

}  // namespace r1
