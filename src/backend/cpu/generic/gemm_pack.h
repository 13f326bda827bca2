#pragma once

#include <cstdint>

#include "backend/gemm_kernels.h"

// Packing of factors, written once on a register type `V` (gemm_tile.h), of which it needs besides
//   load_first(p, count)      the rest of the lanes zero; count <= 0 reads nothing
//   narrow(low, high)         2 kWidth consecutive values rounded to bf16
//   interleave(even, odd)     in each lane a pair of bf16: even's value, then odd's
//   transpose(rows)           kWidth registers as a square matrix of 32-bit lanes
namespace r1::cpu::generic {

// Loads of kWidth floats at source[row * stride + column], zero outside [rows, columns).
template <typename V>
struct BoundedSource {
  const float* source;
  std::int64_t stride, rows, columns;

  V at(std::int64_t row, std::int64_t column) const {
    if (row >= rows) return V::zero();
    const std::int64_t left = columns - column;
    if (left >= V::kWidth) return V::load(source + row * stride + column);
    return left > 0 ? V::load_first(source + row * stride + column, left) : V::zero();
  }
};

template <typename V>
void pack_rows_f32(const float* source, std::int64_t stride, std::int64_t k, std::int64_t n,
                   std::int64_t first_panel, std::int64_t last_panel, float* panels) {
  constexpr std::int64_t kRows = 32;  // a few rows of all panels at a time: short strides in source
  const BoundedSource<V> b{source, stride, k, n};
  for (std::int64_t block = 0; block < k; block += kRows) {
    const std::int64_t end = block + kRows < k ? block + kRows : k;
    for (std::int64_t panel = first_panel; panel < last_panel; ++panel) {
      for (std::int64_t p = block; p < end; ++p) {
        float* row = panels + (panel * k + p) * kPanelWidth;
        for (std::int64_t lane = 0; lane < kPanelWidth; lane += V::kWidth) {
          b.at(p, panel * kPanelWidth + lane).store(row + lane);
        }
      }
    }
  }
}

template <typename V>
void pack_rows_bf16(const float* source, std::int64_t stride, std::int64_t k, std::int64_t n,
                    std::int64_t first_panel, std::int64_t last_panel, bf16* panels) {
  const BoundedSource<V> b{source, stride, k, n};
  const std::int64_t padded = padded_k_bf16(k);
  for (std::int64_t block = 0; block < padded; block += kBf16KBlock) {
    for (std::int64_t panel = first_panel; panel < last_panel; ++panel) {
      for (std::int64_t p = block; p < block + kBf16KBlock; p += 2) {
        bf16* row = panels + (panel * padded + p) * kPanelWidth;
        for (std::int64_t lane = 0; lane < kPanelWidth; lane += V::kWidth) {
          const std::int64_t column = panel * kPanelWidth + lane;
          V::interleave(b.at(p, column), b.at(p + 1, column)).store_bits(row + 2 * lane);
        }
      }
    }
  }
}

template <typename V>
void pack_columns_f32(const float* source, std::int64_t stride, std::int64_t k, std::int64_t n,
                      std::int64_t first_panel, std::int64_t last_panel, float* panels) {
  const BoundedSource<V> b{source, stride, n, k};
  for (std::int64_t column = first_panel * kPanelWidth; column < last_panel * kPanelWidth;
       column += V::kWidth) {
    float* to = panels + column / kPanelWidth * kPanelWidth * k + column % kPanelWidth;
    for (std::int64_t p = 0; p < k; p += V::kWidth) {
      V square[V::kWidth];
      for (std::int64_t i = 0; i < V::kWidth; ++i) square[i] = b.at(column + i, p);
      V::transpose(square);
      for (std::int64_t i = 0; i < V::kWidth && p + i < k; ++i) {
        square[i].store(to + (p + i) * kPanelWidth);
      }
    }
  }
}

template <typename V>
void pack_columns_bf16(const float* source, std::int64_t stride, std::int64_t k, std::int64_t n,
                       std::int64_t first_panel, std::int64_t last_panel, bf16* panels) {
  const BoundedSource<V> b{source, stride, n, k};
  const std::int64_t padded = padded_k_bf16(k);
  for (std::int64_t column = first_panel * kPanelWidth; column < last_panel * kPanelWidth;
       column += V::kWidth) {
    bf16* to = panels + column / kPanelWidth * kPanelWidth * padded + column % kPanelWidth * 2;
    for (std::int64_t p = 0; p < padded; p += 2 * V::kWidth) {
      V square[V::kWidth];
      for (std::int64_t i = 0; i < V::kWidth; ++i) {
        square[i] = V::narrow(b.at(column + i, p), b.at(column + i, p + V::kWidth));
      }
      V::transpose(square);
      for (std::int64_t i = 0; i < V::kWidth; ++i) {
        square[i].store_bits(to + (p + 2 * i) * kPanelWidth);
      }
    }
  }
}

template <typename V>
void round_rows(const float* source, std::int64_t stride, std::int64_t rows, std::int64_t k,
                bf16* a, std::int64_t lda) {
  const BoundedSource<V> b{source, stride, rows, k};
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t p = 0; p < lda; p += 2 * V::kWidth) {
      V::narrow(b.at(i, p), b.at(i, p + V::kWidth)).store_bits(a + i * lda + p);
    }
  }
}

template <typename V>
void transpose_f32(const float* source, std::int64_t stride, std::int64_t k, std::int64_t first,
                   std::int64_t last, float* a, std::int64_t lda) {
  const BoundedSource<V> b{source, stride, k, last};
  for (std::int64_t p = 0; p < k; p += V::kWidth) {
    for (std::int64_t row = first; row < last; row += V::kWidth) {
      V square[V::kWidth];
      for (std::int64_t i = 0; i < V::kWidth; ++i) square[i] = b.at(p + i, row);
      V::transpose(square);
      for (std::int64_t i = 0; i < V::kWidth && row + i < last; ++i) {
        float* to = a + (row + i) * lda + p;
        if (p + V::kWidth <= k) {
          square[i].store(to);
        } else {
          square[i].store_first(to, k - p);
        }
      }
    }
  }
}

template <typename V>
void transpose_bf16(const float* source, std::int64_t stride, std::int64_t k, std::int64_t first,
                    std::int64_t last, bf16* a, std::int64_t lda) {
  const BoundedSource<V> b{source, stride, k, last};
  for (std::int64_t p = 0; p < lda; p += 2 * V::kWidth) {
    for (std::int64_t row = first; row < last; row += V::kWidth) {
      V square[V::kWidth];
      for (std::int64_t i = 0; i < V::kWidth; ++i) {
        square[i] = V::interleave(b.at(p + 2 * i, row), b.at(p + 2 * i + 1, row));
      }
      V::transpose(square);
      for (std::int64_t i = 0; i < V::kWidth && row + i < last; ++i) {
        square[i].store_bits(a + (row + i) * lda + p);
      }
    }
  }
}

}  // namespace r1::cpu::generic
