// The definition of the products with FP8 weights: every other instruction set gives these bits.
#include "backend/cpu/fp8_instruction_sets.h"

namespace r1::cpu::scalar {
namespace {

// The weight at p of one column of a panel; zero in the padding.
r1::bf16 weight_at(const Fp8Panel& panel, std::int64_t k, std::int64_t p, std::int64_t column) {
  if (p >= k) return {};
  return round_to_bf16(fp8_value(fp8_code_of(panel.code(p, column)), panel.chunk_at(p).scale));
}

void multiply(const Fp8Shape& s, const r1::bf16* a, const std::byte* panels, float* c) {
  for (std::int64_t j = 0; j < s.n; ++j) {
    const Fp8Panel panel(panels, s.k, j / kPanelWidth);
    for (std::int64_t i = 0; i < s.m && !s.accumulate; ++i) c[i * s.ldc + j] = 0.0f;
    for (std::int64_t block = 0; block < s.k; block += kBf16KBlock) {
      float w[kBf16KBlock];
      for (std::int64_t p = 0; p < kBf16KBlock; ++p) {
        w[p] = to_float(weight_at(panel, s.k, block + p, j % kPanelWidth));
      }
      for (std::int64_t i = 0; i < s.m; ++i) {
        const r1::bf16* row = a + i * s.lda + block;
        float even = 0.0f, odd = 0.0f;
        for (std::int64_t p = 0; p < kBf16KBlock; p += 2) {
          even = __builtin_fmaf(to_float(row[p]), w[p], even);
          odd = __builtin_fmaf(to_float(row[p + 1]), w[p + 1], odd);
        }
        c[i * s.ldc + j] = c[i * s.ldc + j] + (even + odd);
      }
    }
  }
}

void decode(std::int64_t k, const std::byte* panels, std::int64_t panel_count, std::int64_t first,
            std::int64_t count, r1::bf16* out) {
  for (std::int64_t j = 0; j < panel_count * kPanelWidth; ++j) {
    const Fp8Panel panel(panels, k, j / kPanelWidth);
    for (std::int64_t p = 0; p < count; ++p) {
      const std::int64_t row = j / kPanelWidth * count + p / 2 * 2;
      out[row * kPanelWidth + j % kPanelWidth * 2 + p % 2] =
          weight_at(panel, k, first + p, j % kPanelWidth);
    }
  }
}

}  // namespace

const Fp8Kernels& fp8_kernels() {
  static constexpr Fp8Kernels kTable{.most_rows = 1, .multiply = multiply, .decode = decode};
  return kTable;
}

}  // namespace r1::cpu::scalar
