#pragma once

#include <cstdint>

#include "backend/attention_kernels.h"

namespace r1::cpu::generic {

// The three products inside attention, as register tiles. `Set` is an instruction set: its F32x16,
// the tile sizes that fill its registers, and transpose() of 16 x 16 floats. Everything is a
// template over it, so that no code compiled for one set can be linked into another.
//
// A tile's size never shows in the bits: each output element is its own chain of fma in a fixed
// order, and a tile only chooses which chains run side by side.
template <class Set>
struct AttentionTiles {
  using F32x16 = typename Set::F32x16;
  static constexpr std::int64_t kLanes = 16;
  // Query rows handled together: the width of every [key][row] matrix below.
  static constexpr std::int64_t kChunkRows = 128;

  // Rows 0..15 (each [dim]) turned into columns [dim][16].
  static void transpose_rows(const float* const* rows, std::int64_t dim, float* columns) {
    std::int64_t d = 0;
    for (; d + kLanes <= dim; d += kLanes) Set::transpose(rows, d, columns + d * kLanes);
    for (; d < dim; ++d) {
      for (std::int64_t lane = 0; lane < kLanes; ++lane) columns[d * kLanes + lane] = rows[lane][d];
    }
  }

  // --- dot products: dots[j][row] = sum over d, ascending, of columns[d][row] * keys[j][d].
  //     Tiles may write rows of dots beyond the last key, fewer than kDotPadding.
  static constexpr std::int64_t kDotPadding = Set::kDotKeys;

  // The first key_count keys, at least one; beyond them the last one is repeated.
  template <int kKeys, int kGroups>
  static void dot_tile(std::int64_t dim, const float* columns, std::int64_t key_count,
                       const float* keys, std::int64_t key_stride, float* dots) {
    F32x16 sums[kKeys][kGroups];
#pragma GCC unroll 16
    for (int j = 0; j < kKeys; ++j) {
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) sums[j][g] = F32x16::zero();
    }
    const float* key_rows[kKeys];
#pragma GCC unroll 16
    for (int j = 0; j < kKeys; ++j) {
      key_rows[j] = keys + (j < key_count ? j : key_count - 1) * key_stride;
    }
    for (std::int64_t d = 0; d < dim; ++d) {
      F32x16 x[kGroups];
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) x[g] = F32x16::load(columns + (g * dim + d) * kLanes);
#pragma GCC unroll 16
      for (int j = 0; j < kKeys; ++j) {
        const F32x16 key = F32x16::broadcast(key_rows[j][d]);
#pragma GCC unroll 4
        for (int g = 0; g < kGroups; ++g) sums[j][g] = fma(x[g], key, sums[j][g]);
      }
    }
#pragma GCC unroll 16
    for (int j = 0; j < kKeys; ++j) {
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) sums[j][g].store(dots + j * kChunkRows + g * kLanes);
    }
  }

  template <int kGroups>
  static void dot_groups(std::int64_t key_count, std::int64_t dim, const float* columns,
                         const float* keys, std::int64_t key_stride, float* dots) {
    constexpr int kKeys = Set::kDotKeys, kHalf = (kKeys + 1) / 2;
    for (std::int64_t j = 0; j < key_count; j += kKeys) {
      const std::int64_t left = key_count - j;
      if (left > kHalf) {
        dot_tile<kKeys, kGroups>(dim, columns, left, keys + j * key_stride, key_stride,
                                 dots + j * kChunkRows);
      } else {
        dot_tile<kHalf, kGroups>(dim, columns, left, keys + j * key_stride, key_stride,
                                 dots + j * kChunkRows);
      }
    }
  }

  // --- weighted sums of key or value rows: for each row r of the chunk and column c,
  //     out[r][c] = fma(weights[j][r], values[j][c], out[r][c]) over j ascending

  struct SumOperands {
    const float* weights;  // [key][kChunkRows]
    // Null, or [block][kChunkRows]: out is multiplied by it where a block of keys begins.
    const float* corrections;
    const float* values;
    std::int64_t value_stride;
    float* const* out;  // [rows]
    bool from_zero;     // start from zero instead of out
  };

  // Rows [row, row + kRows), columns from `column`: kVecs vectors, or the first `lanes` of one.
  // Row r takes keys [0, key_counts[r]); counts rise with r. Keys that only some rows take are left
  // out of the others, not weighted with 0, since 0 * NaN is NaN.
  template <int kRows, int kVecs, bool kPartial>
  static void sum_tile(const SumOperands& s, const std::int64_t* key_counts, std::int64_t row,
                       std::int64_t column, std::int64_t lanes) {
    static_assert(!kPartial || kVecs == 1);
    const auto load = [lanes](const float* from) {
      return kPartial ? F32x16::load_first(from, lanes) : F32x16::load(from);
    };
    F32x16 sums[kRows][kVecs];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) {
        sums[r][v] = s.from_zero ? F32x16::zero() : load(s.out[row + r] + column + v * kLanes);
      }
    }
    const float* weight = s.weights + row;
    const float* value = s.values + column;
    const std::int64_t common = key_counts[row], last = key_counts[row + kRows - 1];
    std::int64_t j = 0;
    while (j < common) {
      if (s.corrections != nullptr) {
        const float* correction = s.corrections + j / kAttentionBlock * kChunkRows + row;
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const F32x16 factor = F32x16::broadcast(correction[r]);
#pragma GCC unroll 4
          for (int v = 0; v < kVecs; ++v) sums[r][v] = sums[r][v] * factor;
        }
      }
      const std::int64_t block_end = j + kAttentionBlock < common ? j + kAttentionBlock : common;
      for (; j < block_end; ++j, weight += kChunkRows, value += s.value_stride) {
        F32x16 x[kVecs];
#pragma GCC unroll 4
        for (int v = 0; v < kVecs; ++v) x[v] = load(value + v * kLanes);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const F32x16 w = F32x16::broadcast(weight[r]);
#pragma GCC unroll 4
          for (int v = 0; v < kVecs; ++v) sums[r][v] = fma(w, x[v], sums[r][v]);
        }
      }
    }
    for (; j < last; ++j, weight += kChunkRows, value += s.value_stride) {
      const bool corrects = s.corrections != nullptr && j % kAttentionBlock == 0;
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        if (j >= key_counts[row + r]) continue;
        if (corrects) {
          const float correction = s.corrections[j / kAttentionBlock * kChunkRows + row + r];
#pragma GCC unroll 4
          for (int v = 0; v < kVecs; ++v) sums[r][v] = sums[r][v] * F32x16::broadcast(correction);
        }
        const F32x16 w = F32x16::broadcast(weight[r]);
#pragma GCC unroll 4
        for (int v = 0; v < kVecs; ++v) {
          sums[r][v] = fma(w, load(value + v * kLanes), sums[r][v]);
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) {
        float* to = s.out[row + r] + column + v * kLanes;
        if constexpr (kPartial) {
          sums[r][v].store_first(to, lanes);
        } else {
          sums[r][v].store(to);
        }
      }
    }
  }

  // Tiles of kRows as long as they fit; returns the first row left.
  template <int kRows, int kVecs, bool kPartial>
  static std::int64_t sum_rows(const SumOperands& s, const std::int64_t* key_counts,
                               std::int64_t row, std::int64_t rows, std::int64_t column,
                               std::int64_t lanes) {
    for (; row + kRows <= rows; row += kRows) {
      sum_tile<kRows, kVecs, kPartial>(s, key_counts, row, column, lanes);
    }
    return row;
  }

  template <int kRows, int kVecs, bool kPartial>
  static void sum_columns(const SumOperands& s, const std::int64_t* key_counts, std::int64_t rows,
                          std::int64_t column, std::int64_t lanes) {
    std::int64_t row = sum_rows<kRows, kVecs, kPartial>(s, key_counts, 0, rows, column, lanes);
    if constexpr (kRows > 4) {
      row = sum_rows<4, kVecs, kPartial>(s, key_counts, row, rows, column, lanes);
    }
    if constexpr (kRows > 2) {
      row = sum_rows<2, kVecs, kPartial>(s, key_counts, row, rows, column, lanes);
    }
    sum_rows<1, kVecs, kPartial>(s, key_counts, row, rows, column, lanes);
  }

  // Rows whose count is 0, all of them before the others, stay as they are.
  static void weighted_sums(SumOperands s, const std::int64_t* key_counts, std::int64_t rows,
                            std::int64_t dim) {
    while (rows > 0 && key_counts[0] == 0) {
      ++key_counts, ++s.out, ++s.weights, --rows;
      if (s.corrections != nullptr) ++s.corrections;
    }
    std::int64_t column = 0;
    constexpr int kWide = Set::kSumVecs;
    if constexpr (kWide > 1) {
      for (; column + kWide * kLanes <= dim; column += kWide * kLanes) {
        sum_columns<Set::kSumRows, kWide, false>(s, key_counts, rows, column, kLanes);
      }
    }
    constexpr int kNarrowRows = Set::kSumNarrowRows;
    for (; column + kLanes <= dim; column += kLanes) {
      sum_columns<kNarrowRows, 1, false>(s, key_counts, rows, column, kLanes);
    }
    if (column < dim) sum_columns<kNarrowRows, 1, true>(s, key_counts, rows, column, dim - column);
  }

  // --- outer products, the gradients of key and value rows: for each key j and column c, over the
  //     rows r ascending, gradient[j][c] = fma(weights[j][r], rows[r][c], gradient[j][c]); with two
  //     terms, first the one's product of a row and then the other's

  struct OuterTerm {
    const float* weights;      // [key][kChunkRows]
    const float* const* rows;  // [rows]
    std::int64_t offset;       // of rows[r][0] from the column counted in the gradient's row
  };

  // Rows [first, last) into keys [0, kKeys).
  template <int kTerms, int kKeys, int kVecs, bool kPartial>
  static void outer_tile(const OuterTerm* terms, std::int64_t key, std::int64_t first,
                         std::int64_t last, std::int64_t column, std::int64_t lanes,
                         float* gradient, std::int64_t stride) {
    static_assert(!kPartial || kVecs == 1);
    F32x16 sums[kKeys][kVecs];
#pragma GCC unroll 16
    for (int j = 0; j < kKeys; ++j) {
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) {
        const float* from = gradient + (key + j) * stride + column + v * kLanes;
        sums[j][v] = kPartial ? F32x16::load_first(from, lanes) : F32x16::load(from);
      }
    }
    for (std::int64_t r = first; r < last; ++r) {
#pragma GCC unroll 2
      for (int t = 0; t < kTerms; ++t) {
        const float* row = terms[t].rows[r] + (column - terms[t].offset);
        const float* weight = terms[t].weights + key * kChunkRows + r;
        F32x16 x[kVecs];
#pragma GCC unroll 4
        for (int v = 0; v < kVecs; ++v) {
          const float* from = row + v * kLanes;
          x[v] = kPartial ? F32x16::load_first(from, lanes) : F32x16::load(from);
        }
#pragma GCC unroll 16
        for (int j = 0; j < kKeys; ++j) {
          const F32x16 w = F32x16::broadcast(weight[j * kChunkRows]);
#pragma GCC unroll 4
          for (int v = 0; v < kVecs; ++v) sums[j][v] = fma(w, x[v], sums[j][v]);
        }
      }
    }
#pragma GCC unroll 16
    for (int j = 0; j < kKeys; ++j) {
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) {
        float* to = gradient + (key + j) * stride + column + v * kLanes;
        if constexpr (kPartial) {
          sums[j][v].store_first(to, lanes);
        } else {
          sums[j][v].store(to);
        }
      }
    }
  }

  // Key j takes rows [first_rows[j], rows); first_rows rises with j.
  template <int kTerms, int kKeys, int kVecs, bool kPartial>
  static std::int64_t outer_keys(const OuterTerm* terms, const std::int64_t* first_rows,
                                 std::int64_t rows, std::int64_t key, std::int64_t keys,
                                 std::int64_t column, std::int64_t lanes, float* gradient,
                                 std::int64_t stride) {
    for (; key + kKeys <= keys; key += kKeys) {
      const std::int64_t common = first_rows[key + kKeys - 1];
      for (std::int64_t j = key; j < key + kKeys - 1; ++j) {
        if (first_rows[j] < common) {
          outer_tile<kTerms, 1, kVecs, kPartial>(terms, j, first_rows[j], common, column, lanes,
                                                 gradient, stride);
        }
      }
      outer_tile<kTerms, kKeys, kVecs, kPartial>(terms, key, common, rows, column, lanes, gradient,
                                                 stride);
    }
    return key;
  }

  template <int kTerms, int kKeys, int kVecs, bool kPartial>
  static void outer_columns(const OuterTerm* terms, const std::int64_t* first_rows,
                            std::int64_t rows, std::int64_t keys, std::int64_t column,
                            std::int64_t lanes, float* gradient, std::int64_t stride) {
    const std::int64_t key = outer_keys<kTerms, kKeys, kVecs, kPartial>(
        terms, first_rows, rows, 0, keys, column, lanes, gradient, stride);
    outer_keys<kTerms, 1, kVecs, kPartial>(terms, first_rows, rows, key, keys, column, lanes,
                                           gradient, stride);
  }

  // Columns [column, end) of the gradient's rows.
  template <int kTerms>
  static void outer_products(const OuterTerm* terms, const std::int64_t* first_rows,
                             std::int64_t rows, std::int64_t keys, std::int64_t column,
                             std::int64_t end, float* gradient, std::int64_t stride) {
    constexpr int kWide = Set::kSumVecs;
    if constexpr (kWide > 1) {
      for (; column + kWide * kLanes <= end; column += kWide * kLanes) {
        outer_columns<kTerms, Set::kSumRows, kWide, false>(terms, first_rows, rows, keys, column,
                                                           kLanes, gradient, stride);
      }
    }
    constexpr int kNarrowRows = Set::kSumNarrowRows;
    for (; column + kLanes <= end; column += kLanes) {
      outer_columns<kTerms, kNarrowRows, 1, false>(terms, first_rows, rows, keys, column, kLanes,
                                                   gradient, stride);
    }
    if (column < end) {
      outer_columns<kTerms, kNarrowRows, 1, true>(terms, first_rows, rows, keys, column,
                                                  end - column, gradient, stride);
    }
  }
};

}  // namespace r1::cpu::generic
