#pragma once

#include <cstdint>

#include "backend/cpu/generic/gemm_tile.h"
#include "backend/gemm_kernels.h"

// The matrix products of one instruction set: blocks of A and B for the caches, cut into the
// register tiles of gemm_tile.h. `V` also says how large those are: kRowsBf16, kRowsF32 rows by
// kColumns registers.
namespace r1::cpu::generic {

inline constexpr int kMostTileRows = 16;

// A value known at compile time, passed as an argument.
template <int n>
struct Constant {
  static constexpr int value = n;
};

// body(Constant<r>) for the r in [1, most] that equals `rows`.
template <int most, typename Body>
inline void with_rows(std::int64_t rows, const Body& body) {
  if constexpr (most == 1) {
    body(Constant<1>{});
  } else if (rows == most) {
    body(Constant<most>{});
  } else {
    with_rows<most - 1>(rows, body);
  }
}

// Runs multiply(c, ldc) on a tile of C that may hold fewer columns than the registers do: then on a
// copy, so that nothing beyond column `columns` is written.
template <int kColumns, typename Multiply>
inline void on_whole_columns(std::int64_t rows, std::int64_t columns, float* c, std::int64_t ldc,
                             const Multiply& multiply) {
  if (columns >= kColumns) return multiply(c, ldc);
  float copy[kMostTileRows * kColumns];
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t j = 0; j < columns; ++j) copy[r * kColumns + j] = c[r * ldc + j];
    for (std::int64_t j = columns; j < kColumns; ++j) copy[r * kColumns + j] = 0.0f;
  }
  multiply(copy, kColumns);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t j = 0; j < columns; ++j) c[r * ldc + j] = copy[r * kColumns + j];
  }
}

// What the products of both precisions share. A template, so that no instruction set's copy of it
// can be taken for another's.
template <typename V>
class Product {
 protected:
  explicit Product(const GemmShape& shape, float* c) : s_(shape), c_(c) {}

  static constexpr int kColumns = V::kColumns;
  static constexpr std::int64_t kTileColumns = kColumns * V::kWidth;
  static constexpr int kPanelRegisters = kPanelWidth / V::kWidth;

  static std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

  // The empty sum.
  void clear() const {
    for (std::int64_t i = 0; i < s_.m; ++i) {
      for (std::int64_t j = 0; j < s_.n; ++j) c_[i * s_.ldc + j] = 0.0f;
    }
  }

  // body(Constant<registers>, j) for the tiles' first columns j: all of kColumns registers, except
  // that a last single panel is not widened to two.
  template <typename Body>
  void for_columns(const Body& body) const {
    std::int64_t j = 0;
    for (; j + kTileColumns - kPanelWidth < s_.n; j += kTileColumns) body(Constant<kColumns>{}, j);
    if (j < s_.n) body(Constant<kPanelRegisters>{}, j);
  }

  const GemmShape s_;
  float* const c_;
};

template <typename V>
class Bf16Product : Product<V> {
  using Base = Product<V>;
  using Base::c_, Base::clear, Base::for_columns, Base::s_, Base::smaller;

 public:
  Bf16Product(const GemmShape& shape, const bf16* a, const bf16* panels, float* c)
      : Base(shape, c), a_(a), panels_(panels) {}

  void run() {
    if (s_.k == 0) {
      if (!s_.accumulate) clear();
    } else if (s_.m <= kRows) {
      stream<kLongStreamBlock>();
    } else if (s_.m <= kStreamRows) {
      stream<kStreamBlock>();
    } else {
      for (std::int64_t i = 0; i < s_.m; i += kBlockRows) {
        for (std::int64_t k = 0; k < s_.k; k += kBlock) {
          multiply_block(i, smaller(kBlockRows, s_.m - i), k, smaller(kBlock, s_.k - k));
        }
      }
    }
  }

 private:
  static constexpr int kRows = V::kRowsBf16;
  // A block of B for one tile's columns, widened, and the rows of A that pass it lie in L1; the
  // block of A in L2.
  static constexpr int kBlock = 256;
  static constexpr std::int64_t kBlockRows = 384;
  static_assert(kBlockRows % kRows == 0);
  // Few rows do not repay the widening: they take B as it is packed, panel after panel, a block of
  // one panel staying in L1 for all of them. Rows of a single tile read each panel straight
  // through.
  static constexpr int kStreamBlock = 512, kLongStreamBlock = 4096;
  static constexpr std::int64_t kStreamRows = 24;
  static_assert(kStreamRows * kRowStride<kStreamBlock> <= kBlockRows * kRowStride<kBlock>);
  static_assert(kRows * kRowStride<kLongStreamBlock> <= kBlockRows * kRowStride<kBlock>);

  template <std::int64_t kStride>
  void widen_rows(std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t count) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const bf16* from = a_ + (row + r) * s_.lda + k;
      float* to = a_block_ + r * kStride;
      for (std::int64_t p = 0; p < count; p += V::kWidth) V::widen(from + p).store(to + p);
    }
  }

  template <int P>
  void widen_columns(std::int64_t column, std::int64_t k, std::int64_t count) {
    constexpr std::int64_t kPairFloats = WidenedPairs<V, P>::kPairFloats;
    for (std::int64_t q = 0; q < P; ++q) {
      const bf16* from = panel_columns<V>(panels_, s_.k, column + q * V::kWidth, 2);
      float* to = b_block_ + q * V::kWidth;
      for (std::int64_t pair = 0; pair < count / 2; ++pair) {
        const bf16* row = from + (k + pair * 2) * kPanelWidth;
        V::even(row).store(to + pair * kPairFloats);
        V::odd(row).store(to + pair * kPairFloats + P * V::kWidth);
      }
    }
  }

  void multiply_block(std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t count) {
    constexpr std::int64_t kStride = kRowStride<kBlock>;
    widen_rows<kStride>(row, rows, k, count);
    const bool from_c = s_.accumulate || k > 0;
    for_columns([&](auto registers, std::int64_t j) {
      constexpr int P = decltype(registers)::value;
      widen_columns<P>(j, k, count);
      const WidenedPairs<V, P> b{b_block_};
      for (std::int64_t i = 0; i < rows; i += kRows) {
        const std::int64_t tile_rows = smaller(kRows, rows - i);
        on_whole_columns<P * V::kWidth>(tile_rows, s_.n - j, c_ + (row + i) * s_.ldc + j, s_.ldc,
                                        [&](float* c, std::int64_t ldc) {
                                          with_rows<kRows>(tile_rows, [&](auto r) {
                                            multiply_tile_bf16<V, decltype(r)::value, P, kBlock>(
                                                count / 2, a_block_ + i * kStride, b, c, ldc,
                                                from_c);
                                          });
                                        });
      }
    });
  }

  template <int kLength>
  void stream() {
    constexpr std::int64_t kStride = kRowStride<kLength>;
    constexpr int P = Base::kPanelRegisters;
    // As even as can be: 4 + 4 rows rather than 6 + 2.
    const std::int64_t tiles = (s_.m + kRows - 1) / kRows, step = (s_.m + tiles - 1) / tiles;
    for (std::int64_t k = 0; k < s_.k; k += kLength) {
      const std::int64_t count = smaller(kLength, s_.k - k);
      widen_rows<kStride>(0, s_.m, k, count);
      const bool from_c = s_.accumulate || k > 0;
      for (std::int64_t j = 0; j < s_.n; j += kPanelWidth) {
        PackedPairs<V, P> b;
        for (int q = 0; q < P; ++q) {
          b.columns[q] = panel_columns<V>(panels_, s_.k, j + q * V::kWidth, 2) + k * kPanelWidth;
        }
        for (std::int64_t i = 0; i < s_.m; i += step) {
          const std::int64_t rows = smaller(step, s_.m - i);
          on_whole_columns<P * V::kWidth>(
              rows, s_.n - j, c_ + i * s_.ldc + j, s_.ldc, [&](float* c, std::int64_t ldc) {
                with_rows<kRows>(rows, [&](auto r) {
                  multiply_tile_bf16<V, decltype(r)::value, P, kLength>(
                      count / 2, a_block_ + i * kStride, b, c, ldc, from_c);
                });
              });
        }
      }
    }
  }

  const bf16* const a_;
  const bf16* const panels_;
  alignas(64) float a_block_[kBlockRows * kRowStride<kBlock>];
  alignas(64) float b_block_[kBlock * Base::kTileColumns];
};

template <typename V>
class F32Product : Product<V> {
  using Base = Product<V>;
  using Base::c_, Base::clear, Base::for_columns, Base::s_, Base::smaller;

 public:
  F32Product(const GemmShape& shape, const float* a, const float* panels, float* c)
      : Base(shape, c), a_(a), panels_(panels) {}

  void run() {
    if (s_.k == 0 && !s_.accumulate) clear();
    for (std::int64_t i = 0; i < s_.m; i += kBlockRows) {
      for (std::int64_t k = 0; k < s_.k; k += kBlock) {
        multiply_block(i, smaller(kBlockRows, s_.m - i), k, smaller(kBlock, s_.k - k));
      }
    }
  }

 private:
  static constexpr int kRows = V::kRowsF32;
  static constexpr int kBlock = 256;
  static constexpr std::int64_t kBlockRows = 336;
  static_assert(kBlockRows % kRows == 0);

  void copy_rows(std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t count) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* from = a_ + (row + r) * s_.lda + k;
      float* to = a_block_ + r * kRowStride<kBlock>;
      std::int64_t p = 0;
      for (; p + V::kWidth <= count; p += V::kWidth) V::load(from + p).store(to + p);
      for (; p < count; ++p) to[p] = from[p];
    }
  }

  void multiply_block(std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t count) {
    copy_rows(row, rows, k, count);
    const bool from_c = s_.accumulate || k > 0;
    for_columns([&](auto registers, std::int64_t j) {
      constexpr int P = decltype(registers)::value;
      const float* b[P];
      for (int q = 0; q < P; ++q) {
        b[q] = panel_columns<V>(panels_, s_.k, j + q * V::kWidth, 1) + k * kPanelWidth;
      }
      for (std::int64_t i = 0; i < rows; i += kRows) {
        const std::int64_t tile_rows = smaller(kRows, rows - i);
        on_whole_columns<P * V::kWidth>(tile_rows, s_.n - j, c_ + (row + i) * s_.ldc + j, s_.ldc,
                                        [&](float* c, std::int64_t ldc) {
                                          with_rows<kRows>(tile_rows, [&](auto r) {
                                            multiply_tile_f32<V, decltype(r)::value, P, kBlock>(
                                                count, a_block_ + i * kRowStride<kBlock>, b, c, ldc,
                                                from_c);
                                          });
                                        });
      }
    });
  }

  const float* const a_;
  const float* const panels_;
  alignas(64) float a_block_[kBlockRows * kRowStride<kBlock>];
};

template <typename V>
void multiply_bf16(const GemmShape& shape, const bf16* a, const bf16* panels, float* c) {
  Bf16Product<V>(shape, a, panels, c).run();
}

template <typename V>
void multiply_f32(const GemmShape& shape, const float* a, const float* panels, float* c) {
  F32Product<V>(shape, a, panels, c).run();
}

}  // namespace r1::cpu::generic
