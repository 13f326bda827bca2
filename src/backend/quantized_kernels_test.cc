#include "backend/quantized_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "backend/cpu/instruction_sets.h"
#include "backend/gemm_test_data.h"
#include "backend/isa.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "quant/ggml_blocks.h"
#include "tensor/aligned_buffer.h"

namespace r1 {
namespace {

using gemm_test::random_values;
using gemm_test::same_bits;
using gemm_test::Values;

constexpr GgmlType kTypes[] = {GgmlType::q8_0, GgmlType::q4_0, GgmlType::q4_k, GgmlType::q5_k,
                               GgmlType::q6_k};

const QuantizedKernels& kernels_of(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return cpu::scalar::quantized_kernels();
    case Isa::avx2:
      return cpu::avx2::quantized_kernels();
    default:
      return cpu::avx512::quantized_kernels();
  }
}

// Blocks of any bits, their halves made finite and small.
std::vector<std::byte> random_blocks(GgmlType type, std::int64_t values, std::uint64_t seed) {
  const GgmlBlockSize block = block_size(type);
  std::vector<std::byte> bytes(static_cast<std::size_t>(values) / block.values * block.bytes);
  Rng rng(seed, 0, 0);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.next_u32());
  for (std::size_t at = 0; at < bytes.size(); at += block.bytes) {
    const bool two = type == GgmlType::q4_k || type == GgmlType::q5_k;
    const std::size_t first = type == GgmlType::q6_k ? block.bytes - 2 : 0;
    for (std::size_t half = 0; half <= (two ? 1 : 0); ++half) {
      bytes[at + first + 2 * half + 1] &= std::byte{0xA3};  // below 2^-5, subnormals among them
    }
  }
  return bytes;
}

struct Weights {
  GgmlType type;
  std::int64_t n, k;
  std::vector<std::byte> blocks;
  std::vector<float> values;  // [n, k], decoded
  AlignedBuffer<std::byte> panels;

  Weights(GgmlType t, std::int64_t rows, std::int64_t length, std::uint64_t seed)
      : type(t),
        n(rows),
        k(length),
        blocks(random_blocks(t, rows * length, seed)),
        values(static_cast<std::size_t>(rows * length)),
        panels(static_cast<std::size_t>(quantized_panels_of(rows) *
                                        quantized_panel_bytes(t, length))) {
    dequantize(type, blocks, values);
    pack_quantized(type, blocks, n, k, 0, quantized_panels_of(n), panels.data());
  }
};

struct Activations {
  std::int64_t m, k, ldx;
  std::vector<float> x;
  std::vector<std::int8_t> codes;
  std::vector<ActivationGroup> groups;

  Activations(std::int64_t rows, std::int64_t length, Values kind, std::uint64_t seed)
      : m(rows),
        k(length),
        ldx(length + 64),
        x(random_values(rows * length, seed, kind)),
        codes(static_cast<std::size_t>(rows * ldx)),
        groups(static_cast<std::size_t>(rows * length / kQuantizedGroup)) {}

  void quantize(GgmlType type, Isa isa) {
    kernels_of(isa).quantize_rows(type, x.data(), k, m, k, codes.data(), ldx, groups.data());
  }
};

std::int64_t length_for(GgmlType type, std::int64_t groups) {
  const auto block = static_cast<std::int64_t>(block_size(type).values);
  return std::max<std::int64_t>(groups * kQuantizedGroup / block, 1) * block;
}

std::string describe(GgmlType type, Isa isa, std::int64_t m, std::int64_t n, std::int64_t k) {
  return fmt::format("{} {} m {} n {} k {}", name_of(type), name_of(isa), m, n, k);
}

TEST(QuantizedKernels, EveryInstructionSetQuantizesRowsToTheScalarBits) {
  const FlushDenormals flush;
  for (const GgmlType type : kTypes) {
    for (const Values kind : {Values::ordinary, Values::special}) {
      Activations expected(7, 32 * 9, kind, 5);
      expected.quantize(type, Isa::scalar);
      for (const Isa isa : supported_isas()) {
        Activations actual(7, 32 * 9, kind, 5);
        actual.quantize(type, isa);
        EXPECT_EQ(actual.codes, expected.codes) << describe(type, isa, 7, 0, 32 * 9);
        for (std::size_t g = 0; g < expected.groups.size(); ++g) {
          EXPECT_TRUE(same_bits(&actual.groups[g].scale, &expected.groups[g].scale, 2));
          EXPECT_EQ(actual.groups[g].start[0], expected.groups[g].start[0]);
          EXPECT_EQ(actual.groups[g].start[1], expected.groups[g].start[1]);
        }
      }
    }
  }
}

TEST(QuantizedKernels, ActivationsAreWithinHalfAStepAndNonFiniteGroupsAreNan) {
  Activations a(3, 64, Values::ordinary, 11);
  a.x[64 + 5] = std::numeric_limits<float>::infinity();
  std::fill_n(a.x.begin() + 128, 32, 0.0f);
  a.quantize(GgmlType::q8_0, supported_isas().back());
  EXPECT_TRUE(std::isnan(a.groups[2].scale));
  EXPECT_EQ(a.groups[4].scale, 0.0f);
  for (std::size_t i : {0u, 17u, 31u, 40u, 63u}) {
    const float scale = a.groups[i / 32].scale;
    EXPECT_NEAR(a.x[i], scale * static_cast<float>(a.codes[i]), 0.5001f * scale);
  }
}

// The integers are exact, so the product of the decoded factors in double differs only by the
// roundings of the float sums.
TEST(QuantizedKernels, ProductsAreThoseOfTheDecodedFactors) {
  const FlushDenormals flush;
  for (const GgmlType type : kTypes) {
    for (const Isa isa : supported_isas()) {
      const std::int64_t m = 5, n = 37, k = length_for(type, 24);
      const Weights w(type, n, k, 3);
      Activations x(m, k, Values::ordinary, 4);
      x.quantize(type, isa);
      std::vector<float> c(static_cast<std::size_t>(m * n), 7.0f);
      kernels_of(isa).multiply(type, {m, n, k, x.ldx, n, false}, x.codes.data(), x.groups.data(),
                               w.panels.data(), c.data());
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          double sum = 0, size = 0;
          for (std::int64_t p = 0; p < k; ++p) {
            const double term =
                static_cast<double>(w.values[static_cast<std::size_t>(j * k + p)]) *
                x.groups[static_cast<std::size_t>((i * k + p) / kQuantizedGroup)].scale *
                x.codes[static_cast<std::size_t>(i * x.ldx + p)];
            sum += term;
            size += std::abs(term);
          }
          EXPECT_NEAR(c[static_cast<std::size_t>(i * n + j)], sum, 4e-6 * size)
              << describe(type, isa, i, j, k);
        }
      }
    }
  }
}

TEST(QuantizedKernels, EveryInstructionSetMultipliesToTheScalarBits) {
  const FlushDenormals flush;
  for (const GgmlType type : kTypes) {
    for (const std::int64_t groups : {1, 2, 3, 8, 40}) {
      for (const std::int64_t m : {1, 2, 3, 5, 6, 7, 12, 13, 31}) {
        const std::int64_t n = 1 + (m * 29 + groups) % 70, k = length_for(type, groups);
        const bool accumulate = (m + groups) % 2 == 0;
        const Weights w(type, n, k, 1);
        Activations x(m, k, groups == 3 ? Values::special : Values::ordinary, 2);
        x.quantize(type, Isa::scalar);
        const QuantizedShape shape{m, n, k, x.ldx, n + 3, accumulate};
        const std::vector<float> before = random_values(m * shape.ldc, 9);
        std::vector<float> expected = before;
        kernels_of(Isa::scalar)
            .multiply(type, shape, x.codes.data(), x.groups.data(), w.panels.data(),
                      expected.data());
        for (const Isa isa : supported_isas()) {
          std::vector<float> c = before;
          kernels_of(isa).multiply(type, shape, x.codes.data(), x.groups.data(), w.panels.data(),
                                   c.data());
          EXPECT_TRUE(same_bits(c, expected)) << describe(type, isa, m, n, k);
        }
      }
    }
  }
}

TEST(QuantizedKernels, RowsDoNotDependOnTheirCompany) {
  const FlushDenormals flush;
  for (const GgmlType type : kTypes) {
    const std::int64_t m = 29, n = 48, k = length_for(type, 40);
    const Weights w(type, n, k, 6);
    Activations x(m, k, Values::ordinary, 7);
    const QuantizedKernels& kernels = kernels_of(supported_isas().back());
    x.quantize(type, supported_isas().back());
    std::vector<float> together(static_cast<std::size_t>(m * n)),
        alone(static_cast<std::size_t>(n));
    kernels.multiply(type, {m, n, k, x.ldx, n, false}, x.codes.data(), x.groups.data(),
                     w.panels.data(), together.data());
    for (std::int64_t i = 0; i < m; ++i) {
      kernels.multiply(type, {1, n, k, x.ldx, n, false}, x.codes.data() + i * x.ldx,
                       x.groups.data() + i * k / kQuantizedGroup, w.panels.data(), alone.data());
      EXPECT_TRUE(same_bits(alone.data(), together.data() + i * n, n)) << name_of(type) << i;
    }
  }
}

// The law of quantised storage: decoding panels gives what packing the decoded values gives.
TEST(QuantizedKernels, DecodedPanelsAreThePanelsOfTheDecodedWeights) {
  const FlushDenormals flush;
  for (const GgmlType type : kTypes) {
    for (const std::int64_t groups : {1, 8, 11}) {
      const std::int64_t n = 35, k = length_for(type, groups);
      const Weights w(type, n, k, 8);
      const std::int64_t panels = panels_of(n);
      std::vector<bf16> expected(static_cast<std::size_t>(panels * kPanelWidth * k));
      cpu::scalar::gemm_kernels().pack_columns_bf16(w.values.data(), k, k, n, 0, panels,
                                                    expected.data());
      for (const Isa isa : supported_isas()) {
        const std::int64_t first = k > kQuantizedGroup ? kQuantizedGroup : 0, count = k - first;
        std::vector<bf16> actual(static_cast<std::size_t>(panels * kPanelWidth * count));
        kernels_of(isa).decode(type, k, w.panels.data(), panels, first, count, actual.data());
        for (std::int64_t panel = 0; panel < panels; ++panel) {
          const bf16* want = expected.data() + (panel * k + first) * kPanelWidth;
          const bf16* got = actual.data() + panel * count * kPanelWidth;
          for (std::int64_t i = 0; i < count * kPanelWidth; ++i) {
            if (panel * kPanelWidth + i / 2 % kPanelWidth >= n) continue;  // beyond the last row
            ASSERT_EQ(got[i].bits, want[i].bits) << describe(type, isa, panel, i, k);
          }
        }
      }
    }
  }
}

TEST(QuantizedKernels, RowsOfACacheDecodeAsTheirBlocksDo) {
  const std::int64_t rows = 5, blocks = 7, first = 2, count = 4;
  const std::vector<std::byte> from = random_blocks(GgmlType::q8_0, rows * blocks * 32, 21);
  std::vector<float> values(static_cast<std::size_t>(rows * blocks * 32));
  dequantize(GgmlType::q8_0, from, values);
  for (const Isa isa : supported_isas()) {
    const FlushDenormals flush;
    std::vector<bf16> out(static_cast<std::size_t>(rows * 200));
    kernels_of(isa).decode_q8_0_rows(from.data(), blocks * 34, rows, first, count, out.data(), 200);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t i = 0; i < count * 32; ++i) {
        const float value = values[static_cast<std::size_t>((row * blocks + first) * 32 + i)];
        EXPECT_EQ(out[static_cast<std::size_t>(row * 200 + i)].bits, round_to_bf16(value).bits);
      }
    }
  }
}

}  // namespace
}  // namespace r1
