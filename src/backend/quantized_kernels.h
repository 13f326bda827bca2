#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/quantized_panels.h"
#include "tensor/bf16.h"

namespace r1 {

// Products with quantised weights. In the int8 mode (docs/numerics.md, "Products with int8
// activations") a row of x is quantised as well, in groups of 32 with one scale each, so that the
// products within a group are exact in integers; in the bf16 mode the panels are decoded and
// multiplied as any others.

// A group of 32 quantised activations: x = scale * code.
struct ActivationGroup {
  float scale;
  float scaled_sum;       // scale * (sum of the codes), for weights with minima
  std::int32_t start[2];  // -offset * (sum of the codes) of each half, of both in [0] if the
                          // weights have one scale a group: the integer sums begin here
};

struct QuantizedShape {
  std::int64_t m, n, k;  // k a multiple of 32
  std::int64_t ldx;      // codes between rows of x
  std::int64_t ldc;      // elements between rows of C
  bool accumulate;
};

struct QuantizedKernels {
  // codes [rows][ldx] and groups [rows][k / 32] of x [rows][stride], for weights of `type`.
  void (*quantize_rows)(GgmlType type, const float* x, std::int64_t stride, std::int64_t rows,
                        std::int64_t k, std::int8_t* codes, std::int64_t ldx,
                        ActivationGroup* groups);
  // C [m, n] (+)= x W^T.
  void (*multiply)(GgmlType type, const QuantizedShape& shape, const std::int8_t* codes,
                   const ActivationGroup* groups, const std::byte* panels, float* c);
  // bf16 panels [panel][count / 2][16][2] (gemm_kernels.h) of the values at k in [first, first +
  // count), both multiples of 32, rounded to nearest even, of `panel_count` panels.
  void (*decode)(GgmlType type, std::int64_t k, const std::byte* panels, std::int64_t panel_count,
                 std::int64_t first, std::int64_t count, r1::bf16* out);
  // Rows of Q8_0 blocks, `row_bytes` apart: `blocks` of each from `first_block` on, rounded to
  // bf16, into out [rows][out_stride]. Keys and values of a quantised cache.
  void (*decode_q8_0_rows)(const std::byte* from, std::int64_t row_bytes, std::int64_t rows,
                           std::int64_t first_block, std::int64_t blocks, r1::bf16* out,
                           std::int64_t out_stride);
};

}  // namespace r1
