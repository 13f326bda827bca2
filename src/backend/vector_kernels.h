#pragma once

#include <cstdint>

#include "tensor/bf16.h"

namespace r1 {

// One AdamW step's constants (Loshchilov & Hutter 2019); the same for all elements of a weight.
struct AdamWStep {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  float bias_correction1, bias_correction2;  // 1 - beta^step
  float gradient_scale;                      // clipping: gradients are multiplied by it first
};

// Row and element kernels. n counts elements, all f32 unless typed otherwise. Sums over a row run
// in 16 lanes (element i in lane i mod 16, in order, by fma where a product is summed), then
// halves are added: lanes l and l + 8, l + 4, l + 2, l + 1. "+=" means added to what is there.
struct VectorKernels {
  // --- element by element
  void (*add)(std::int64_t n, const float* a, const float* b, float* out);
  void (*add_into)(std::int64_t n, const float* x, float* acc);  // acc += x
  void (*multiply_add)(std::int64_t n, float s, const float* x,
                       float* acc);                                    // acc = fma(s, x, acc)
  void (*scale)(std::int64_t n, float s, const float* x, float* out);  // out = s * x
  void (*round_bf16)(std::int64_t n, const float* x, bf16* out);
  void (*widen_bf16)(std::int64_t n, const bf16* x, float* out);
  void (*round_to_bf16_values)(std::int64_t n, const float* x, float* out);  // stays f32
  void (*exp)(std::int64_t n, const float* x, float* out);
  void (*sigmoid)(std::int64_t n, const float* x, float* out);  // 1 / (1 + exp(-x))
  // out = silu(gate) * up, silu(x) = x * sigmoid(x)
  void (*swiglu)(std::int64_t n, const float* gate, const float* up, float* out);
  // dgate += ..., dup += ...
  void (*swiglu_backward)(std::int64_t n, const float* gate, const float* up, const float* dout,
                          float* dgate, float* dup);

  // --- sums over a row
  float (*sum)(std::int64_t n, const float* x);
  float (*dot)(std::int64_t n, const float* a, const float* b);
  float (*max)(std::int64_t n, const float* x);  // n >= 1; NaN if any is NaN
  // Squares summed in 16 lanes of double, for gradient norms.
  double (*sum_of_squares)(std::int64_t n, const float* x);

  // --- RMSNorm (Zhang & Sennrich 2019): y = x * rstd * w, rstd = 1 / sqrt(mean(x^2) + eps)
  float (*rms_norm)(std::int64_t n, const float* x, const float* w, float eps,
                    float* y);  // returns rstd
  // dx += rstd * (w dy - x * rstd^2 * mean(w dy x))
  void (*rms_norm_backward)(std::int64_t n, const float* x, const float* w, float rstd,
                            const float* dy, float* dx);
  // dw += dy * x * rstd for one row; callers go through rows in order.
  void (*rms_norm_weight_gradient)(std::int64_t n, const float* x, float rstd, const float* dy,
                                   float* dw);

  // --- rotary embedding of one vector in place; cos, sin [dim / 2]. sign = -1 rotates back.
  void (*rope_interleaved)(std::int64_t dim, const float* cos, const float* sin, float sign,
                           float* x);
  void (*rope_halves)(std::int64_t dim, const float* cos, const float* sin, float sign, float* x);

  // --- softmax over a row of logits
  // log sum_i exp(x_i): maximum first, then the sum of exp(x - max), then log of it.
  float (*log_sum_exp)(std::int64_t n, const float* x);
  void (*softmax)(std::int64_t n, const float* x, float* out);
  // Entropy of softmax(x) in nats, given its log_sum_exp.
  float (*entropy)(std::int64_t n, const float* x, float lse);
  // out[v] = g * ([v == target] - exp(x[v] - lse)): gradient of g * log p(target); overwrites.
  void (*log_prob_gradient)(std::int64_t n, const float* x, float lse, std::int64_t target, float g,
                            float* out);

  // --- optimiser: decoupled decay first, then the moment step, epsilon outside the root
  void (*adamw)(std::int64_t n, const AdamWStep& step, const float* gradient, float* m, float* v,
                float* weight);
};

}  // namespace r1
