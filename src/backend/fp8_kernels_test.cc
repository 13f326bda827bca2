#include "backend/fp8_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "backend/cpu/fp8_instruction_sets.h"
#include "backend/cpu/instruction_sets.h"
#include "backend/fp8_test_data.h"
#include "backend/gemm_test_data.h"
#include "backend/isa.h"
#include "base/thread_pool.h"
#include "tensor/aligned_buffer.h"

namespace r1 {
namespace {

using fp8_test::Codes;
using fp8_test::Weights;
using gemm_test::random_values;
using gemm_test::same_bits;
using gemm_test::Values;

constexpr Codes kCodes[] = {Codes::ordinary, Codes::subnormals, Codes::all};

const Fp8Kernels& kernels_of(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return cpu::scalar::fp8_kernels();
    case Isa::avx2:
      return cpu::avx2::fp8_kernels();
    default:
      return cpu::avx512::fp8_kernels();
  }
}

AlignedBuffer<std::byte> packed(const Weights& w) {
  AlignedBuffer<std::byte> panels(static_cast<std::size_t>(panels_of(w.n) * fp8_panel_bytes(w.k)));
  pack_fp8_panels(w.matrix(), 0, panels_of(w.n), panels.data());
  return panels;
}

// bf16 panels of the decoded weights: what multiplying FP8 must not differ from.
std::vector<bf16> decoded_panels(const Weights& w) {
  std::vector<bf16> panels(
      static_cast<std::size_t>(panels_of(w.n) * kPanelWidth * padded_k_bf16(w.k)));
  cpu::scalar::gemm_kernels().pack_columns_bf16(w.values().data(), w.k, w.k, w.n, 0, panels_of(w.n),
                                                panels.data());
  return panels;
}

std::string describe(Codes codes, Isa isa, std::int64_t m, std::int64_t n, std::int64_t k) {
  return fmt::format("codes {} {} m {} n {} k {}", static_cast<int>(codes), name_of(isa), m, n, k);
}

bool same(bf16 a, bf16 b) { return a == b || (std::isnan(to_float(a)) && std::isnan(to_float(b))); }

TEST(Fp8Panels, CodesComeBackFromTheirOrderInAPanel) {
  for (int code = 0; code < 256; ++code) {
    const auto bits = static_cast<std::uint8_t>(code);
    EXPECT_EQ(fp8_code_of(fp8_panel_code(bits)).bits, bits);
  }
  const Weights w(37, 200, Codes::all, 1);
  const AlignedBuffer<std::byte> panels = packed(w);
  for (std::int64_t row = 0; row < w.n; ++row) {
    const Fp8Panel panel(panels.data(), w.k, row / kPanelWidth);
    for (std::int64_t p = 0; p < w.k; ++p) {
      ASSERT_EQ(fp8_code_of(panel.code(p, row % kPanelWidth)), w.matrix().code(row, p));
      const float scale = panel.chunk_at(p).scale, expected = w.matrix().scale(row, p);
      ASSERT_TRUE(same_bits(&scale, &expected, 1));
    }
  }
}

TEST(Fp8Panels, OnlyBlocksThatNeedItAreDecodedTheSlowWay) {
  Weights w(16, 128, Codes::ordinary, 2);
  for (std::byte& code : w.codes) code |= std::byte{0x40};
  w.codes[3 * 128 + 40] = std::byte{0x07};  // the largest subnormal
  w.codes[9 * 128 + 70] = std::byte{0xFF};  // NaN
  const AlignedBuffer<std::byte> panels = packed(w);
  const Fp8Panel panel(panels.data(), w.k, 0);
  EXPECT_EQ(panel.kind_at(0), Fp8Kind::normal);
  EXPECT_EQ(panel.kind_at(32), Fp8Kind::subnormals);
  EXPECT_EQ(panel.kind_at(64), Fp8Kind::any);
  EXPECT_EQ(panel.kind_at(96), Fp8Kind::normal);
}

// The law of stored weights: decoding panels gives what packing the decoded values gives.
TEST(Fp8Kernels, DecodedPanelsAreThePanelsOfTheDecodedWeights) {
  const FlushDenormals flush;
  for (const Codes codes : kCodes) {
    for (const std::int64_t k : {1, 31, 32, 33, 128, 130, 700}) {
      const std::int64_t n = 7 + k % 300, panel_count = panels_of(n), padded = padded_k_bf16(k);
      const Weights w(n, k, codes, 3);
      const AlignedBuffer<std::byte> panels = packed(w);
      const std::vector<bf16> expected = decoded_panels(w);
      for (const Isa isa : supported_isas()) {
        const std::int64_t first = padded > kBf16KBlock ? kBf16KBlock : 0, count = padded - first;
        std::vector<bf16> actual(static_cast<std::size_t>(panel_count * kPanelWidth * count));
        kernels_of(isa).decode(k, panels.data(), panel_count, first, count, actual.data());
        for (std::int64_t panel = 0; panel < panel_count; ++panel) {
          const bf16* want = expected.data() + (panel * padded + first) * kPanelWidth;
          const bf16* got = actual.data() + panel * count * kPanelWidth;
          for (std::int64_t i = 0; i < count * kPanelWidth; ++i) {
            if (panel * kPanelWidth + i / 2 % kPanelWidth >= n) continue;  // beyond the last row
            ASSERT_TRUE(same(got[i], want[i])) << describe(codes, isa, panel, i, k);
          }
        }
      }
    }
  }
}

TEST(Fp8Kernels, EveryInstructionSetMultipliesToTheBitsOfTheDecodedWeights) {
  const FlushDenormals flush;
  for (const Codes codes : kCodes) {
    for (const std::int64_t k : {1, 32, 96, 129, 400, 8200}) {
      for (const std::int64_t m : {1, 2, 3, 5, 6, 7, 13}) {
        const std::int64_t n = 1 + (m * 29 + k) % 70, padded = padded_k_bf16(k);
        const std::int64_t lda = padded + kBf16KBlock, ldc = n + 3;
        const Weights w(n, k, codes, 4);
        const std::vector<float> x =
            random_values(m * k, 5, codes == Codes::all ? Values::special : Values::ordinary);
        std::vector<bf16> a(static_cast<std::size_t>(m * lda));
        cpu::scalar::gemm_kernels().round_rows(x.data(), k, m, k, a.data(), lda);
        const std::vector<float> before = random_values(m * ldc, 6);
        const bool accumulate = (m + k) % 2 == 0;
        std::vector<float> expected = before;
        cpu::scalar::gemm_kernels().bf16({m, n, padded, lda, ldc, accumulate}, a.data(),
                                         decoded_panels(w).data(), expected.data());
        const AlignedBuffer<std::byte> panels = packed(w);
        for (const Isa isa : supported_isas()) {
          std::vector<float> c = before;
          kernels_of(isa).multiply({m, n, k, lda, ldc, accumulate}, a.data(), panels.data(),
                                   c.data());
          EXPECT_TRUE(same_bits(c, expected)) << describe(codes, isa, m, n, k);
        }
      }
    }
  }
}

}  // namespace
}  // namespace r1
