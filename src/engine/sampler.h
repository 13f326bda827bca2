#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/request.h"
#include "ops/ops.h"

namespace r1 {

// Throws Error naming the field that has no meaning.
void check_sampling(const SamplingParams& params);

// What logits are multiplied by before their softmax; temperature 0 counts as 1.
float temperature_inverse(float temperature);

// Turns scaled logits into those that are drawn from: the repetition penalty once for each distinct
// id of `seen`, the other penalties for those that the completion has (`seen` from prompt_size on),
// the bias, then top-k, top-p and min-p in this order, which set what they exclude to -infinity.
// Ties go to the lower id. order [vocab] is scratch. To be called inside Backend::parallel_*.
void shape_logits(const VectorKernels& kernels, const SamplingParams& params,
                  std::span<const std::int32_t> seen, std::span<const float> scaled,
                  std::span<float> shaped, std::span<std::int32_t> order,
                  std::size_t prompt_size = 0);

inline constexpr std::int64_t kMaxAlternatives = 64;

// Draws from rows of logits, many at a time.
class Sampler {
 public:
  // One row: what to draw, and the outcome.
  struct Draw {
    const SamplingParams* params = nullptr;
    std::span<const std::int32_t> tokens;  // so far; the drawn one is at position tokens.size()
    std::size_t prompt_size = 0;           // the completion begins here
    TokenGuide::Choice choice{};
    std::int64_t wanted_alternatives = 0;
    SampledToken token{};
    std::vector<TokenAlternative> alternatives{};
    bool failed = false;  // the logits were not finite; there is no token
  };

  // Draw i is from the logits of row rows[i] of the states [T, hidden]. Logits exist for a stretch
  // of the draws at a time.
  void draw(const ForwardContext& ctx, const Tensor& states, std::span<const std::int32_t> rows,
            LinearWeight& head, std::span<Draw> draws);
  // logits [draws.size(), vocab] as the head gives them; they are overwritten.
  void draw(Backend& backend, std::int64_t vocab, float* logits, std::span<Draw> draws);

 private:
  std::vector<double> sums_;          // [draws, blocks]
  std::vector<std::int64_t> shaped_;  // of each draw its row of the scratch below, or -1
  std::vector<float> shaped_logits_;
  std::vector<std::int32_t> order_;
};

}  // namespace r1
