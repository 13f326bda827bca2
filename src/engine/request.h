#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/speculation.h"
#include "engine/token_guide.h"

namespace r1 {

using RequestId = std::uint64_t;

// How the next token is drawn. The draw is keyed by (seed, step, sample, position of the token), so
// a completion does not depend on what else runs.
struct SamplingParams {
  float temperature = 1.0f;  // 0: the most probable token, ties to the lower id
  std::int64_t top_k = 0;    // 0: off
  float top_p = 1.0f;
  float min_p = 0.0f;               // relative to the most probable token
  float repetition_penalty = 1.0f;  // divides positive and multiplies negative logits of seen ids
  // Taken off the logits, before the temperature, of ids that the completion has: once, and once
  // for each time.
  float presence_penalty = 0.0f, frequency_penalty = 0.0f;
  std::vector<std::pair<std::int32_t, float>> logit_bias;  // added before the temperature
  std::uint64_t seed = 0;
  std::uint32_t step = 0, sample = 0;
};

struct Request {
  std::vector<std::int32_t> prompt;  // at least one token
  SamplingParams sampling;
  std::int64_t max_tokens = 0;            // of the completion; at least 1
  std::vector<std::int32_t> stop_tokens;  // drawing one ends the completion; it is kept as its last
  std::int64_t alternatives = 0;          // how many of the likeliest tokens are told with each
  std::shared_ptr<TokenGuide> guide;      // of this completion alone; null: none
};

// failed: the model gave no finite logits for it.
enum class FinishReason { stop, length, cancelled, failed };

// One drawn token. log_prob is of softmax(logits / temperature) before any truncation (temperature
// 0 counts as 1), in nats: what a trainer computes for the same ids. entropy is of the same
// distribution.
struct SampledToken {
  std::int32_t id;
  float log_prob;
  float entropy;
};

// A token that might have been drawn, with a log_prob as above.
struct TokenAlternative {
  std::int32_t id;
  float log_prob;
};

struct Completion {
  std::vector<SampledToken> tokens;
  FinishReason finish = FinishReason::length;
  std::uint64_t weights_version = 0;  // Model::version() that drew the first token
  SpeculationStats speculation;
};

}  // namespace r1
