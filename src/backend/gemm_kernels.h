#pragma once

#include <cstdint>

#include "tensor/bf16.h"

namespace r1 {

// Matrix products C[m, n] (+)= sum_k A[m, k] B[k, n] on packed B.
//
// B lies in panels of kPanelWidth columns, the last one padded with zeros:
//   f32:  [n / 16][k][16]
//   bf16: [n / 16][k / 2][16][2], k padded with zeros to a multiple of 32. One panel row is a row
//   of
//         an AMX tile: 16 columns, each with two neighbouring k.
inline constexpr std::int64_t kPanelWidth = 16;
inline constexpr std::int64_t kBf16KBlock = 32;

inline constexpr std::int64_t padded_k_bf16(std::int64_t k) {
  return (k + kBf16KBlock - 1) / kBf16KBlock * kBf16KBlock;
}
inline constexpr std::int64_t panels_of(std::int64_t n) {
  return (n + kPanelWidth - 1) / kPanelWidth;
}

struct GemmShape {
  std::int64_t m, n, k;  // k is the padded one for bf16
  std::int64_t
      lda;  // elements between rows of A; for bf16 a multiple of 32, rows padded with zeros
  std::int64_t ldc;  // elements between rows of C
  bool accumulate;   // start from C instead of zero
};

struct GemmKernels {
  // Order of the sum, f32: one chain over k, acc = fma(a[k], b[k], acc).
  void (*f32)(const GemmShape& shape, const float* a, const float* panels, float* c);

  // Order of the sum, bf16 (that of the AMX unit): per 32 k a chain of fma over the even k and one
  // over the odd k, both from zero; then acc = acc + (even + odd). Denormals flushed.
  void (*bf16)(const GemmShape& shape, const r1::bf16* a, const r1::bf16* panels, float* c);

  // Panels of B[k][n] = source[k * stride + n] ("rows": k outer), panels [first, last) of them.
  // f32 sources are rounded to nearest even for bf16 panels.
  void (*pack_rows_f32)(const float* source, std::int64_t stride, std::int64_t k, std::int64_t n,
                        std::int64_t first_panel, std::int64_t last_panel, float* panels);
  void (*pack_rows_bf16)(const float* source, std::int64_t stride, std::int64_t k, std::int64_t n,
                         std::int64_t first_panel, std::int64_t last_panel, r1::bf16* panels);
  // Panels of B[k][n] = source[n * stride + k] ("columns": a weight [out, in] for y = x W^T).
  void (*pack_columns_f32)(const float* source, std::int64_t stride, std::int64_t k, std::int64_t n,
                           std::int64_t first_panel, std::int64_t last_panel, float* panels);
  void (*pack_columns_bf16)(const float* source, std::int64_t stride, std::int64_t k,
                            std::int64_t n, std::int64_t first_panel, std::int64_t last_panel,
                            r1::bf16* panels);

  // A[m][k] (row m at a + m * lda, rounded, zero padded to lda) from source rows; and from the
  // transpose, A[m][k] = source[k * stride + m], for rows [first, last) of A.
  void (*round_rows)(const float* source, std::int64_t stride, std::int64_t rows, std::int64_t k,
                     r1::bf16* a, std::int64_t lda);
  void (*transpose_f32)(const float* source, std::int64_t stride, std::int64_t k,
                        std::int64_t first, std::int64_t last, float* a, std::int64_t lda);
  void (*transpose_bf16)(const float* source, std::int64_t stride, std::int64_t k,
                         std::int64_t first, std::int64_t last, r1::bf16* a, std::int64_t lda);
};

}  // namespace r1
