#pragma once

#include "backend/cpu/generic/fp8_tile.h"
#include "backend/cpu/generic/gemm_multiply.h"

// Products with FP8 weights on one instruction set: `V` as fp8_tile.h describes, with tiles of
// kRows rows by a panel.
namespace r1::cpu::generic {

template <typename V>
class Fp8Product {
 public:
  Fp8Product(const Fp8Shape& shape, const bf16* a, const std::byte* panels, float* c)
      : s_(shape), a_(a), panels_(panels), c_(c) {}

  void run() {
    if (s_.k == 0 && !s_.accumulate) {
      for (std::int64_t i = 0; i < s_.m; ++i) {
        for (std::int64_t j = 0; j < s_.n; ++j) c_[i * s_.ldc + j] = 0.0f;
      }
    }
    const std::int64_t padded = padded_k_bf16(s_.k);
    for (std::int64_t i = 0; i < s_.m; i += V::kRows) {
      for (std::int64_t k = 0; k < padded; k += kLength) {
        multiply_block(i, smaller(V::kRows, s_.m - i), k, smaller(kLength, padded - k));
      }
    }
  }

 private:
  using Float = typename V::Float;
  // Rows of A this long are widened at once: a panel is read straight through.
  static constexpr std::int64_t kLength = 8192;
  static constexpr std::int64_t kStride = kRowStride<kLength>;

  static std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

  void multiply_block(std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t count) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const bf16* from = a_ + (row + r) * s_.lda + k;
      for (std::int64_t p = 0; p < count; p += V::kWidth) {
        Float::widen(from + p).store(rows_ + r * kStride + p);
      }
    }
    const bool from_c = s_.accumulate || k > 0;
    for (std::int64_t j = 0; j < s_.n; j += kPanelWidth) {
      const Fp8Panel panel(panels_, s_.k, j / kPanelWidth);
      on_whole_columns<kPanelWidth>(rows, s_.n - j, c_ + row * s_.ldc + j, s_.ldc,
                                    [&](float* c, std::int64_t ldc) {
                                      with_rows<V::kRows>(rows, [&](auto r) {
                                        multiply_tile_fp8<V, decltype(r)::value>(
                                            panel, s_.k, k, count, rows_, kStride, c, ldc, from_c);
                                      });
                                    });
    }
  }

  const Fp8Shape s_;
  const bf16* const a_;
  const std::byte* const panels_;
  float* const c_;
  alignas(64) float rows_[V::kRows * kStride];
};

template <typename V>
void multiply_fp8(const Fp8Shape& shape, const bf16* a, const std::byte* panels, float* c) {
  Fp8Product<V>(shape, a, panels, c).run();
}

template <typename V>
void decode_fp8_panels(std::int64_t k, const std::byte* panels, std::int64_t panel_count,
                       std::int64_t first, std::int64_t count, bf16* out) {
  for (std::int64_t i = 0; i < panel_count; ++i) {
    for_fp8_blocks<V>(
        Fp8Panel(panels, k, i), k, first, count, [&](std::int64_t p, const Fp8Block<V>& block) {
          bf16* to = out + (i * count + p - first) * kPanelWidth;
          block.for_squares([&](
              std::int64_t square,
              const typename Fp8Block<V>::Square& pairs) __attribute__((always_inline)) {
            for (int pair = 0; pair < 2; ++pair) {
              for (int q = 0; q < Fp8Block<V>::P; ++q) {
                V::store(pairs[pair][q],
                         to + ((square * 2 + pair) * kPanelWidth + q * V::kWidth) * 2);
              }
            }
          });
        });
  }
}

template <typename V>
constexpr Fp8Kernels fp8_kernels_on() {
  return Fp8Kernels{
      .most_rows = V::kRows, .multiply = multiply_fp8<V>, .decode = decode_fp8_panels<V>};
}

}  // namespace r1::cpu::generic
