// The definition of the matrix products: every other instruction set gives these bits.
#include "backend/cpu/instruction_sets.h"

namespace r1::cpu::scalar {
namespace {

void multiply_f32(const GemmShape& s, const float* a, const float* panels, float* c) {
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t j = 0; j < s.n; ++j) {
      const float* b = panels + j / kPanelWidth * kPanelWidth * s.k + j % kPanelWidth;
      float acc = s.accumulate ? c[i * s.ldc + j] : 0.0f;
      for (std::int64_t p = 0; p < s.k; ++p) {
        acc = __builtin_fmaf(a[i * s.lda + p], b[p * kPanelWidth], acc);
      }
      c[i * s.ldc + j] = acc;
    }
  }
}

void multiply_bf16(const GemmShape& s, const r1::bf16* a, const r1::bf16* panels, float* c) {
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t j = 0; j < s.n; ++j) {
      const r1::bf16* row = a + i * s.lda;
      const r1::bf16* column = panels + j / kPanelWidth * kPanelWidth * s.k + j % kPanelWidth * 2;
      float acc = s.accumulate ? c[i * s.ldc + j] : 0.0f;
      for (std::int64_t block = 0; block < s.k; block += kBf16KBlock) {
        float even = 0.0f, odd = 0.0f;
        for (std::int64_t p = block; p < block + kBf16KBlock; p += 2) {
          const r1::bf16* pair = column + p * kPanelWidth;
          even = __builtin_fmaf(to_float(row[p]), to_float(pair[0]), even);
          odd = __builtin_fmaf(to_float(row[p + 1]), to_float(pair[1]), odd);
        }
        acc = acc + (even + odd);
      }
      c[i * s.ldc + j] = acc;
    }
  }
}

// B[k][n] = source[k * k_stride + n * n_stride], zero outside [k, n].
struct Factor {
  const float* source;
  std::int64_t k_stride, n_stride, k, n;
  float at(std::int64_t p, std::int64_t j) const {
    return p < k && j < n ? source[p * k_stride + j * n_stride] : 0.0f;
  }
};

void pack(const Factor& b, std::int64_t first, std::int64_t last, float* panels) {
  for (std::int64_t panel = first; panel < last; ++panel) {
    for (std::int64_t p = 0; p < b.k; ++p) {
      for (std::int64_t lane = 0; lane < kPanelWidth; ++lane) {
        panels[(panel * b.k + p) * kPanelWidth + lane] = b.at(p, panel * kPanelWidth + lane);
      }
    }
  }
}

void pack(const Factor& b, std::int64_t first, std::int64_t last, r1::bf16* panels) {
  const std::int64_t k = padded_k_bf16(b.k);
  for (std::int64_t panel = first; panel < last; ++panel) {
    for (std::int64_t p = 0; p < k; ++p) {
      r1::bf16* row = panels + (panel * k + p / 2 * 2) * kPanelWidth + p % 2;
      for (std::int64_t lane = 0; lane < kPanelWidth; ++lane) {
        row[lane * 2] = round_to_bf16(b.at(p, panel * kPanelWidth + lane));
      }
    }
  }
}

void pack_rows_f32(const float* source, std::int64_t stride, std::int64_t k, std::int64_t n,
                   std::int64_t first, std::int64_t last, float* panels) {
  pack({source, stride, 1, k, n}, first, last, panels);
}
void pack_rows_bf16(const float* source, std::int64_t stride, std::int64_t k, std::int64_t n,
                    std::int64_t first, std::int64_t last, r1::bf16* panels) {
  pack({source, stride, 1, k, n}, first, last, panels);
}
void pack_columns_f32(const float* source, std::int64_t stride, std::int64_t k, std::int64_t n,
                      std::int64_t first, std::int64_t last, float* panels) {
  pack({source, 1, stride, k, n}, first, last, panels);
}
void pack_columns_bf16(const float* source, std::int64_t stride, std::int64_t k, std::int64_t n,
                       std::int64_t first, std::int64_t last, r1::bf16* panels) {
  pack({source, 1, stride, k, n}, first, last, panels);
}

void round_rows(const float* source, std::int64_t stride, std::int64_t rows, std::int64_t k,
                r1::bf16* a, std::int64_t lda) {
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t p = 0; p < lda; ++p) {
      a[i * lda + p] = round_to_bf16(p < k ? source[i * stride + p] : 0.0f);
    }
  }
}

void transpose_f32(const float* source, std::int64_t stride, std::int64_t k, std::int64_t first,
                   std::int64_t last, float* a, std::int64_t lda) {
  for (std::int64_t i = first; i < last; ++i) {
    for (std::int64_t p = 0; p < k; ++p) a[i * lda + p] = source[p * stride + i];
  }
}

void transpose_bf16(const float* source, std::int64_t stride, std::int64_t k, std::int64_t first,
                    std::int64_t last, r1::bf16* a, std::int64_t lda) {
  for (std::int64_t i = first; i < last; ++i) {
    for (std::int64_t p = 0; p < lda; ++p) {
      a[i * lda + p] = round_to_bf16(p < k ? source[p * stride + i] : 0.0f);
    }
  }
}

}  // namespace

const GemmKernels& gemm_kernels() {
  static constexpr GemmKernels kernels{multiply_f32,   multiply_bf16,    pack_rows_f32,
                                       pack_rows_bf16, pack_columns_f32, pack_columns_bf16,
                                       round_rows,     transpose_f32,    transpose_bf16};
  return kernels;
}

}  // namespace r1::cpu::scalar
