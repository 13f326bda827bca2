#pragma once

#include <cstdint>

#include "backend/gemm_kernels.h"

// The bf16 product on a unit of two-dimensional tile registers (AMX). The unit is a parameter, so
// that blocking, tails and addresses can be tried with a model of it on machines that lack it:
//   configure(top, bottom)  rows of the tiles below: 0, 1 top; 2, 3 bottom (C); 4 top, 5 bottom
//                           (A, 32 k wide); 6, 7 (B: 16 rows of 16 pairs)
//   release()               gives the registers back
//   zero<t>(), load<t>(address, stride_bytes), store<t>(address, stride_bytes),
//   multiply<c, a, b>()     c += a b in the order that gemm_kernels.h specifies
namespace r1::cpu::generic {

template <typename Unit>
class TileProduct {
 public:
  TileProduct(Unit& unit, const GemmShape& shape, const bf16* a, const bf16* panels, float* c)
      : unit_(unit), s_(shape), a_(a), panels_(panels), c_(c) {}

  void run() {
    if (s_.m == 0 || s_.n == 0) return;
    if (s_.k == 0) {
      if (!s_.accumulate) clear();
      return;
    }
    // Few rows take tiles of just as many. Otherwise all tiles are full, and the last rows are
    // multiplied in a padded copy: configuring anew between the panels would cost more.
    if (s_.m < kPairRows) {
      unit_.configure(smaller(s_.m, kTileRows), larger(s_.m - kTileRows, 0));
    } else {
      unit_.configure(kTileRows, kTileRows);
    }
    for (std::int64_t i = 0; i < s_.m; i += kBlockRows) {
      for (std::int64_t k = 0; k < s_.k; k += kBlock) {
        multiply_block(i, smaller(kBlockRows, s_.m - i), k, smaller(kBlock, s_.k - k));
      }
    }
    unit_.release();
  }

 private:
  static constexpr std::int64_t kTileRows = 16, kPairRows = 32, kPairColumns = 32;
  // kBlockRows x kBlock of A (1 MB) and two panels of B (64 KB) stay in L2; C is gone through once
  // per kBlock. Smaller blocks of B, for L1, would go through C more often, which costs more.
  static constexpr std::int64_t kBlockRows = 512, kBlock = 1024;
  static constexpr std::int64_t kCopyStride = kBlock + kBf16KBlock;
  static constexpr std::int64_t kLine = 64 / sizeof(bf16);

  // A range of memory fetched piece by piece while something else is computed.
  struct Ahead {
    const bf16* next[2];
    std::int64_t left;  // lines of each
    std::int64_t per_step;

    void step() {
      for (std::int64_t line = 0; line < per_step && left > 0; ++line, --left) {
        __builtin_prefetch(next[0], 0, 2);
        __builtin_prefetch(next[1], 0, 2);
        next[0] += kLine;
        next[1] += kLine;
      }
    }
  };

  static std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
  static std::int64_t larger(std::int64_t a, std::int64_t b) { return a < b ? b : a; }

  void clear() {
    for (std::int64_t i = 0; i < s_.m; ++i) {
      for (std::int64_t j = 0; j < s_.n; ++j) c_[i * s_.ldc + j] = 0.0f;
    }
  }

  const bf16* panel_rows(std::int64_t column, std::int64_t k) const {
    return panels_ + column * s_.k + k * kPanelWidth;
  }

  void copy_last_rows(std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t count) {
    for (std::int64_t r = 0; r < kPairRows; ++r) {
      bf16* to = a_copy_ + r * kCopyStride;
      const bf16* from = a_ + (row + r) * s_.lda + k;
      for (std::int64_t p = 0; p < count; ++p) to[p].bits = r < rows ? from[p].bits : 0;
    }
  }

  // The next two panels are fetched while this pair is multiplied by all rows of the block.
  Ahead fetch_after(std::int64_t column, std::int64_t row_pairs, std::int64_t k,
                    std::int64_t count) const {
    Ahead ahead{{panels_, panels_}, 0, 0};
    const std::int64_t next = column + kPairColumns;
    if (next >= s_.n) return ahead;
    ahead.next[0] = panel_rows(next, k);
    ahead.next[1] = next + kPanelWidth < s_.n ? panel_rows(next + kPanelWidth, k) : ahead.next[0];
    ahead.left = count * kPanelWidth / kLine;
    const std::int64_t steps = row_pairs * (count / kBf16KBlock);
    ahead.per_step = (ahead.left + steps - 1) / steps;
    return ahead;
  }

  void multiply_block(std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t count) {
    const std::int64_t last = rows % kPairRows;
    const bool padded = last != 0 && s_.m >= kPairRows;
    if (padded) copy_last_rows(row + rows - last, last, k, count);
    for (std::int64_t j = 0; j < s_.n; j += kPairColumns) {
      Ahead ahead = fetch_after(j, (rows + kPairRows - 1) / kPairRows, k, count);
      for (std::int64_t i = 0; i < rows; i += kPairRows) {
        const std::int64_t pair_rows = smaller(kPairRows, rows - i);
        const bool copied = padded && pair_rows < kPairRows;
        multiply_pair(row + i, pair_rows, copied ? a_copy_ : a_ + (row + i) * s_.lda + k,
                      copied ? kCopyStride : s_.lda, copied, j, k, count, ahead);
      }
    }
  }

  // One 2 x 2 square of tiles of C, fewer at the edges.
  void multiply_pair(std::int64_t row, std::int64_t rows, const bf16* a, std::int64_t lda,
                     bool full_tiles, std::int64_t column, std::int64_t k, std::int64_t count,
                     Ahead& ahead) {
    const std::int64_t columns = smaller(kPairColumns, s_.n - column);
    float* c = c_ + row * s_.ldc + column;
    std::int64_t ldc = s_.ldc;
    // Tiles reach beyond C where columns are missing, or rows that full tiles have.
    const bool whole = columns % kPanelWidth == 0 && !full_tiles;
    if (!whole) {
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t q = 0; q < columns; ++q) {
          c_copy_[r * kPairColumns + q] = c[r * ldc + q];
        }
      }
      c = c_copy_;
      ldc = kPairColumns;
    }
    const bool bottom = rows > kTileRows, right = columns > kPanelWidth;
    const bf16* b[2] = {panel_rows(column, k),
                        right ? panel_rows(column + kPanelWidth, k) : nullptr};
    const bool from_c = s_.accumulate || k > 0;
    if (bottom && right) {
      multiply_tiles<true, true>(a, lda, b, c, ldc, count, from_c, ahead);
    } else if (bottom) {
      multiply_tiles<true, false>(a, lda, b, c, ldc, count, from_c, ahead);
    } else if (right) {
      multiply_tiles<false, true>(a, lda, b, c, ldc, count, from_c, ahead);
    } else {
      multiply_tiles<false, false>(a, lda, b, c, ldc, count, from_c, ahead);
    }
    if (!whole) {
      float* to = c_ + row * s_.ldc + column;
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t q = 0; q < columns; ++q) {
          to[r * s_.ldc + q] = c_copy_[r * kPairColumns + q];
        }
      }
    }
  }

  // Not inlined: among the callers' variables its addresses would not all find registers.
  template <bool kBottom, bool kRight>
  __attribute__((noinline)) void multiply_tiles(const bf16* a, std::int64_t lda,
                                                const bf16* const (&b)[2], float* c,
                                                std::int64_t ldc, std::int64_t count, bool from_c,
                                                Ahead& ahead) {
    const std::int64_t a_bytes = lda * static_cast<std::int64_t>(sizeof(bf16));
    const std::int64_t c_bytes = ldc * static_cast<std::int64_t>(sizeof(float));
    constexpr std::int64_t kRowBytes = kPanelWidth * 2 * static_cast<std::int64_t>(sizeof(bf16));
    float* const c_bottom = c + kTileRows * ldc;
    if (from_c) {
      unit_.template load<0>(c, c_bytes);
      if constexpr (kRight) unit_.template load<1>(c + kPanelWidth, c_bytes);
      if constexpr (kBottom) unit_.template load<2>(c_bottom, c_bytes);
      if constexpr (kBottom && kRight) unit_.template load<3>(c_bottom + kPanelWidth, c_bytes);
    } else {
      unit_.template zero<0>();
      if constexpr (kRight) unit_.template zero<1>();
      if constexpr (kBottom) unit_.template zero<2>();
      if constexpr (kBottom && kRight) unit_.template zero<3>();
    }
    for (std::int64_t p = 0; p < count; p += kBf16KBlock) {
      ahead.step();
      unit_.template load<4>(a + p, a_bytes);
      unit_.template load<6>(b[0] + p * kPanelWidth, kRowBytes);
      unit_.template multiply<0, 4, 6>();
      if constexpr (kRight) {
        unit_.template load<7>(b[1] + p * kPanelWidth, kRowBytes);
        unit_.template multiply<1, 4, 7>();
      }
      if constexpr (kBottom) {
        unit_.template load<5>(a + kTileRows * lda + p, a_bytes);
        unit_.template multiply<2, 5, 6>();
        if constexpr (kRight) unit_.template multiply<3, 5, 7>();
      }
    }
    unit_.template store<0>(c, c_bytes);
    if constexpr (kRight) unit_.template store<1>(c + kPanelWidth, c_bytes);
    if constexpr (kBottom) unit_.template store<2>(c_bottom, c_bytes);
    if constexpr (kBottom && kRight) unit_.template store<3>(c_bottom + kPanelWidth, c_bytes);
  }

  Unit& unit_;
  const GemmShape s_;
  const bf16* const a_;
  const bf16* const panels_;
  float* const c_;
  alignas(64) float c_copy_[kPairRows * kPairColumns];
  alignas(64) bf16 a_copy_[kPairRows * kCopyStride];
};

}  // namespace r1::cpu::generic
