#pragma once

#include <cstdint>

#include "backend/gemm_kernels.h"

// The register tiles of the matrix products: `R` rows by `P` registers of C, written once on a
// register type `V` of one instruction set (a part of a panel's 16 columns, or all of them):
//   kWidth, zero(), load(p), store(p), broadcast(p), fma(a, b, c), a + b,
//   even(pairs), odd(pairs): the first and second bf16 of kWidth pairs, widened.
namespace r1::cpu::generic {

// Floats between rows of the widened A: the block's k and one cache line, so that the rows of a
// tile lie in different cache sets.
template <int kBlock>
inline constexpr std::int64_t kRowStride = kBlock + 16;

// Where a tile's columns lie in the packed matrix: register q holds columns [q * kWidth, ...) from
// the tile's first column on.
template <typename V, typename T>
inline const T* panel_columns(const T* panels, std::int64_t k, std::int64_t column,
                              std::int64_t row_scale) {
  const std::int64_t panel = column / kPanelWidth;
  return panels + panel * kPanelWidth * k + column % kPanelWidth * row_scale;
}

// Rows of B for a bf16 tile, as they lie in the panel.
template <typename V, int P>
struct PackedPairs {
  static constexpr std::int64_t kAhead = 2048;  // elements; hides the latency of memory
  const bf16* columns[P];

  void load(std::int64_t pair, V (&even)[P], V (&odd)[P]) const {
#pragma GCC unroll 4
    for (int q = 0; q < P; ++q) {
      const bf16* row = columns[q] + pair * 2 * kPanelWidth;
      __builtin_prefetch(row + kAhead);
      even[q] = V::even(row);
      odd[q] = V::odd(row);
    }
  }
};

// The same widened to [pair][even, odd][P * kWidth] beforehand.
template <typename V, int P>
struct WidenedPairs {
  static constexpr std::int64_t kPairFloats = 2 * P * V::kWidth;
  const float* rows;

  void load(std::int64_t pair, V (&even)[P], V (&odd)[P]) const {
    const float* row = rows + pair * kPairFloats;
#pragma GCC unroll 4
    for (int q = 0; q < P; ++q) {
      even[q] = V::load(row + q * V::kWidth);
      odd[q] = V::load(row + (P + q) * V::kWidth);
    }
  }
};

// C (+)= A B over `pairs` pairs of k, a multiple of 16. `from_c` says whether C holds the sum so
// far.
template <typename V, int R, int P, int kBlock, typename Source>
inline void multiply_tile_bf16(std::int64_t pairs, const float* a, const Source& b, float* c,
                               std::int64_t ldc, bool from_c) {
  constexpr std::int64_t kStride = kRowStride<kBlock>;
  constexpr std::int64_t kPairs = kBf16KBlock / 2;
  for (std::int64_t first = 0; first < pairs; first += kPairs) {
    V even[R][P], odd[R][P];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int q = 0; q < P; ++q) even[r][q] = odd[r][q] = V::zero();
    }
#pragma GCC unroll 4
    for (std::int64_t pair = first; pair < first + kPairs; ++pair) {
      V b_even[P], b_odd[P];
      b.load(pair, b_even, b_odd);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const V a_even = V::broadcast(a + r * kStride + 2 * pair);
#pragma GCC unroll 4
        for (int q = 0; q < P; ++q) even[r][q] = fma(a_even, b_even[q], even[r][q]);
        const V a_odd = V::broadcast(a + r * kStride + 2 * pair + 1);
#pragma GCC unroll 4
        for (int q = 0; q < P; ++q) odd[r][q] = fma(a_odd, b_odd[q], odd[r][q]);
      }
    }
    const bool start = first == 0 && !from_c;
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int q = 0; q < P; ++q) {
        float* at = c + r * ldc + q * V::kWidth;
        const V acc = start ? V::zero() : V::load(at);
        (acc + (even[r][q] + odd[r][q])).store(at);
      }
    }
  }
}

// C (+)= A B over `k`. b[q] points at the columns of register q in row 0.
template <typename V, int R, int P, int kBlock>
inline void multiply_tile_f32(std::int64_t k, const float* a, const float* const (&b)[P], float* c,
                              std::int64_t ldc, bool from_c) {
  constexpr std::int64_t kStride = kRowStride<kBlock>;
  constexpr std::int64_t kAhead = 512;
  V acc[R][P];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int q = 0; q < P; ++q) {
      acc[r][q] = from_c ? V::load(c + r * ldc + q * V::kWidth) : V::zero();
    }
  }
  for (std::int64_t p = 0; p < k; ++p) {
    V row[P];
#pragma GCC unroll 4
    for (int q = 0; q < P; ++q) {
      row[q] = V::load(b[q] + p * kPanelWidth);
      __builtin_prefetch(b[q] + p * kPanelWidth + kAhead);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const V value = V::broadcast(a + r * kStride + p);
#pragma GCC unroll 4
      for (int q = 0; q < P; ++q) acc[r][q] = fma(value, row[q], acc[r][q]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int q = 0; q < P; ++q) acc[r][q].store(c + r * ldc + q * V::kWidth);
  }
}

}  // namespace r1::cpu::generic
