#pragma once

#include <cstdint>

#include "backend/vector_kernels.h"

namespace r1 {

// The distribution of one row of logits, as token_log_probs and the sampler both read it: from the
// same row of logits they get the same bits. Logits of a row are linear(ctx, x, head), whose bits
// depend on that row of x alone. To be called inside Backend::parallel_*.

// Multiplies the logits by temperature_inverse in place (exactly 1 leaves every bit alone) and
// returns their log sum exp.
inline float scaled_log_sum_exp(const VectorKernels& kernels, std::int64_t n,
                                float temperature_inverse, float* logits) {
  if (temperature_inverse != 1.0f) kernels.scale(n, temperature_inverse, logits, logits);
  return kernels.log_sum_exp(n, logits);
}

// log p(target) in nats, from logits scaled by scaled_log_sum_exp and what that returned.
inline float row_log_prob(const float* scaled_logits, float log_sum_exp, std::int64_t target) {
  return scaled_logits[target] - log_sum_exp;
}

}  // namespace r1
