#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/fp8_panels.h"
#include "tensor/bf16.h"

namespace r1 {

struct Fp8Shape {
  std::int64_t m, n, k;  // k of the weights; rows of A are padded with zeros to a multiple of 32
  std::int64_t lda;      // elements between rows of A, a multiple of 32
  std::int64_t ldc;      // elements between rows of C
  bool accumulate;       // start from C instead of zero
};

// Products with FP8 weights: those of GemmKernels::bf16 with the decoded weights, to the bit. Few
// rows take the codes as they lie in the panels; more repay decoding a piece once for all of them.
struct Fp8Kernels {
  std::int64_t most_rows;  // for which multiply() is the faster way
  // C [m, n] (+)= A W^T, for any m.
  void (*multiply)(const Fp8Shape& shape, const r1::bf16* a, const std::byte* panels, float* c);
  // bf16 panels [panel][count / 2][16][2] (gemm_kernels.h) of the values at k in [first, first +
  // count), both multiples of 32, of `panel_count` panels.
  void (*decode)(std::int64_t k, const std::byte* panels, std::int64_t panel_count,
                 std::int64_t first, std::int64_t count, r1::bf16* out);
};

}  // namespace r1
