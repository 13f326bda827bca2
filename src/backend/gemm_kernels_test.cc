#include "backend/gemm_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "backend/cpu/instruction_sets.h"
#include "backend/gemm_test_data.h"
#include "backend/isa.h"
#include "base/thread_pool.h"

namespace r1 {
namespace {

using gemm_test::random_values;
using gemm_test::same_bits;
using gemm_test::Values;

const GemmKernels& gemm_kernels(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return cpu::scalar::gemm_kernels();
    case Isa::avx2:
      return cpu::avx2::gemm_kernels();
    case Isa::avx512:
      return cpu::avx512::gemm_kernels();
    case Isa::amx:
      return cpu::amx::gemm_kernels();
  }
  return cpu::scalar::gemm_kernels();
}

// Rounds and packs by the scalar kernels, so that only the tested function differs.
struct Factors {
  GemmShape shape;
  std::vector<float> a, panels, c;
  std::vector<bf16> a_bf16, panels_bf16;

  Factors(std::int64_t m, std::int64_t n, std::int64_t k, Values values, bool accumulate,
          std::uint64_t seed)
      : shape{m, n, k, k + 3, n + 5, accumulate} {
    const GemmKernels& scalar = cpu::scalar::gemm_kernels();
    a = random_values(m * shape.lda, seed, values);
    const std::vector<float> b = random_values(k * n, seed + 1, values);
    c = random_values(m * shape.ldc, seed + 2, values);
    const std::int64_t padded = padded_k_bf16(k);
    panels.resize(static_cast<std::size_t>(panels_of(n) * kPanelWidth * k));
    panels_bf16.resize(static_cast<std::size_t>(panels_of(n) * kPanelWidth * padded));
    scalar.pack_rows_f32(b.data(), n, k, n, 0, panels_of(n), panels.data());
    scalar.pack_rows_bf16(b.data(), n, k, n, 0, panels_of(n), panels_bf16.data());
    a_bf16.resize(static_cast<std::size_t>(m * (padded + kBf16KBlock)));
    scalar.round_rows(a.data(), shape.lda, m, k, a_bf16.data(), padded + kBf16KBlock);
  }
  GemmShape bf16_shape() const {
    GemmShape s = shape;
    s.k = padded_k_bf16(shape.k);
    s.lda = s.k + kBf16KBlock;
    return s;
  }
};

std::string describe(Isa isa, const GemmShape& s) {
  return std::string(name_of(isa)) + " m " + std::to_string(s.m) + " n " + std::to_string(s.n) +
         " k " + std::to_string(s.k) + (s.accumulate ? " accumulate" : "");
}

void expect_same_as_scalar(std::int64_t m, std::int64_t n, std::int64_t k, Values values,
                           bool accumulate) {
  const FlushDenormals flush;
  const Factors f(m, n, k, values, accumulate, static_cast<std::uint64_t>(m * 10007 + n * 101 + k));
  std::vector<float> expected = f.c, expected_bf16 = f.c;
  const GemmKernels& scalar = cpu::scalar::gemm_kernels();
  scalar.f32(f.shape, f.a.data(), f.panels.data(), expected.data());
  scalar.bf16(f.bf16_shape(), f.a_bf16.data(), f.panels_bf16.data(), expected_bf16.data());
  for (const Isa isa : supported_isas()) {
    // C begins at the seed's whim within a cache line; what lies between its rows stays as it was.
    std::vector<float> c(f.c.size() + 16);
    float* const at = c.data() + (m + n + k) % 16;
    std::copy(f.c.begin(), f.c.end(), at);
    gemm_kernels(isa).f32(f.shape, f.a.data(), f.panels.data(), at);
    ASSERT_TRUE(same_bits(at, expected.data(), static_cast<std::int64_t>(f.c.size())))
        << "f32 " << describe(isa, f.shape);
    std::copy(f.c.begin(), f.c.end(), at);
    gemm_kernels(isa).bf16(f.bf16_shape(), f.a_bf16.data(), f.panels_bf16.data(), at);
    ASSERT_TRUE(same_bits(at, expected_bf16.data(), static_cast<std::int64_t>(f.c.size())))
        << "bf16 " << describe(isa, f.shape);
  }
}

TEST(GemmKernels, AllSmallSizesMatchTheDefinition) {
  for (std::int64_t m = 1; m <= 40; ++m) {
    for (std::int64_t n = 1; n <= 40; ++n) {
      const std::int64_t k = (m * 7 + n * 3) % 41;  // every k meets many m and n
      expect_same_as_scalar(m, n, k, Values::ordinary, (m + n) % 2 == 0);
    }
  }
}

TEST(GemmKernels, EveryKMatchesTheDefinition) {
  for (std::int64_t k = 0; k <= 100; ++k) expect_same_as_scalar(7, 17, k, Values::ordinary, k % 2);
}

TEST(GemmKernels, LargeSizesMatchTheDefinition) {
  const std::int64_t sizes[][3] = {{1, 300, 2100}, {4, 40, 4500},  {5, 100, 1057},
                                   {13, 64, 1024}, {97, 49, 513},  {200, 33, 300},
                                   {33, 530, 70},  {100, 48, 256}, {85, 16, 31}};
  for (const auto& s : sizes) {
    expect_same_as_scalar(s[0], s[1], s[2], Values::ordinary, false);
    expect_same_as_scalar(s[0], s[1], s[2], Values::ordinary, true);
  }
}

TEST(GemmKernels, SpecialValuesMatchTheDefinition) {
  for (std::int64_t m = 1; m <= 20; ++m) {
    for (std::int64_t n = 1; n <= 36; n += 5) {
      for (const std::int64_t k : {1, 2, 5, 33, 64}) {
        expect_same_as_scalar(m, n, k, Values::special, (m + k) % 2 == 0);
      }
    }
  }
}

// The definition itself, against double precision: each of the k steps of a chain rounds once, and
// rounding to bf16 is exact here because the values already are.
TEST(GemmKernels, DefinitionIsTheProduct) {
  const FlushDenormals flush;
  const GemmKernels& scalar = cpu::scalar::gemm_kernels();
  for (const std::int64_t k : {1, 7, 32, 100, 700}) {
    const std::int64_t m = 9, n = 21, padded = padded_k_bf16(k);
    std::vector<float> a = random_values(m * k, 5), b = random_values(k * n, 6);
    for (float& value : a) value = to_float(round_to_bf16(value));
    for (float& value : b) value = to_float(round_to_bf16(value));
    std::vector<float> panels(static_cast<std::size_t>(panels_of(n) * kPanelWidth * k));
    std::vector<bf16> panels_bf16(static_cast<std::size_t>(panels_of(n) * kPanelWidth * padded));
    std::vector<bf16> a_bf16(static_cast<std::size_t>(m * padded));
    scalar.pack_rows_f32(b.data(), n, k, n, 0, panels_of(n), panels.data());
    scalar.pack_rows_bf16(b.data(), n, k, n, 0, panels_of(n), panels_bf16.data());
    scalar.round_rows(a.data(), k, m, k, a_bf16.data(), padded);
    std::vector<float> c = random_values(m * n, 7), c_bf16 = c;
    const std::vector<float> before = c;
    scalar.f32({m, n, k, k, n, true}, a.data(), panels.data(), c.data());
    scalar.bf16({m, n, padded, padded, n, true}, a_bf16.data(), panels_bf16.data(), c_bf16.data());
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = before[static_cast<std::size_t>(i * n + j)], size = std::abs(sum);
        for (std::int64_t p = 0; p < k; ++p) {
          const double product = double{a[static_cast<std::size_t>(i * k + p)]} *
                                 double{b[static_cast<std::size_t>(p * n + j)]};
          sum += product;
          size += std::abs(product);
        }
        const double unit = std::numeric_limits<float>::epsilon() / 2;
        const double steps = static_cast<double>(k + 1);
        const double bf16_steps = 16 + 2 + static_cast<double>(padded / kBf16KBlock);
        EXPECT_NEAR(c[static_cast<std::size_t>(i * n + j)], sum, 1.01 * steps * unit * size);
        EXPECT_NEAR(c_bf16[static_cast<std::size_t>(i * n + j)], sum,
                    1.01 * bf16_steps * unit * size);
      }
    }
  }
}

// The order of the bf16 sum, spelled out once more on values that tell orders apart.
TEST(GemmKernels, Bf16SumsEvenAndOddChainsPerBlock) {
  const FlushDenormals flush;
  constexpr std::int64_t kK = 64;
  std::vector<float> a(kK, 1.0f), b(kK, 0.0f);
  b[0] = 16777216.0f;  // even chain of block 0: 2^24
  b[2] = 1.0f;         // lost against 2^24
  b[1] = 1.0f;         // odd chain: 1 + 1 = 2, then 2^24 + 2
  b[3] = 1.0f;
  b[32] = -16777216.0f;  // block 1: even -2^24, odd 0; the total is 2
  std::vector<bf16> panels(kK * kPanelWidth), a_bf16(kK);
  const GemmKernels& scalar = cpu::scalar::gemm_kernels();
  scalar.pack_rows_bf16(b.data(), 1, kK, 1, 0, 1, panels.data());
  scalar.round_rows(a.data(), kK, 1, kK, a_bf16.data(), kK);
  float c = 0.0f;
  scalar.bf16({1, 1, kK, kK, 1, false}, a_bf16.data(), panels.data(), &c);
  EXPECT_EQ(c, 2.0f);
}

TEST(GemmKernels, ARowDoesNotDependOnTheOthers) {
  const FlushDenormals flush;
  const Factors f(101, 70, 300, Values::ordinary, false, 11);
  for (const Isa isa : supported_isas()) {
    const GemmKernels& kernels = gemm_kernels(isa);
    std::vector<float> c = f.c, c_bf16 = f.c;
    kernels.f32(f.shape, f.a.data(), f.panels.data(), c.data());
    kernels.bf16(f.bf16_shape(), f.a_bf16.data(), f.panels_bf16.data(), c_bf16.data());
    GemmShape one = f.shape, one_bf16 = f.bf16_shape();
    one.m = one_bf16.m = 1;
    std::vector<float> row(static_cast<std::size_t>(f.shape.ldc));
    for (std::int64_t i = 0; i < f.shape.m; ++i) {
      kernels.f32(one, f.a.data() + i * one.lda, f.panels.data(), row.data());
      ASSERT_TRUE(same_bits(row.data(), c.data() + i * one.ldc, one.n)) << i;
      kernels.bf16(one_bf16, f.a_bf16.data() + i * one_bf16.lda, f.panels_bf16.data(), row.data());
      ASSERT_TRUE(same_bits(row.data(), c_bf16.data() + i * one.ldc, one.n)) << i;
    }
  }
}

// Runs `call` on a guarded copy of `size` elements for each instruction set and compares all of it.
template <typename T, typename Call>
void expect_same_output(std::int64_t size, const std::string& what, const Call& call) {
  std::vector<T> expected;
  for (const Isa isa : supported_isas()) {
    std::vector<T> out(static_cast<std::size_t>(size) + 64);
    std::memset(static_cast<void*>(out.data()), 0x5A, out.size() * sizeof(T));
    call(gemm_kernels(isa), out.data() + 16);
    if (expected.empty()) expected = out;
    ASSERT_EQ(std::memcmp(out.data(), expected.data(), out.size() * sizeof(T)), 0)
        << what << ' ' << name_of(isa);
  }
}

TEST(GemmKernels, PackingMatchesTheDefinition) {
  const FlushDenormals flush;
  for (std::int64_t k = 0; k <= 70; ++k) {
    for (std::int64_t n = 1; n <= 70; n += n < 36 ? 1 : 7) {
      const std::int64_t padded = padded_k_bf16(k), panels = panels_of(n);
      const std::string what = "k " + std::to_string(k) + " n " + std::to_string(n);
      const std::int64_t stride = std::max(k, n) + 1 + k % 3;
      // Exactly as long as it must be: a read beyond it is seen by the address sanitizer.
      const std::vector<float> b =
          random_values(std::max(k, n) * stride + k % 16, static_cast<std::uint64_t>(k * 71 + n),
                        Values::special);
      const float* source = b.data() + k % 16;
      const std::int64_t first = panels > 2 ? 1 : 0;
      expect_same_output<float>(panels * kPanelWidth * k, what,
                                [&](const GemmKernels& g, float* p) {
                                  g.pack_rows_f32(source, stride, k, n, first, panels, p);
                                });
      expect_same_output<float>(panels * kPanelWidth * k, what,
                                [&](const GemmKernels& g, float* p) {
                                  g.pack_columns_f32(source, stride, k, n, first, panels, p);
                                });
      expect_same_output<bf16>(panels * kPanelWidth * padded, what,
                               [&](const GemmKernels& g, bf16* p) {
                                 g.pack_rows_bf16(source, stride, k, n, first, panels, p);
                               });
      expect_same_output<bf16>(panels * kPanelWidth * padded, what,
                               [&](const GemmKernels& g, bf16* p) {
                                 g.pack_columns_bf16(source, stride, k, n, first, panels, p);
                               });
      const std::int64_t lda = padded + k % 2 * kBf16KBlock;
      expect_same_output<bf16>(n * lda, what, [&](const GemmKernels& g, bf16* a) {
        g.round_rows(source, stride, n, k, a, lda);
      });
      const std::int64_t first_row = n / 3;
      expect_same_output<bf16>(n * lda, what, [&](const GemmKernels& g, bf16* a) {
        g.transpose_bf16(source, stride, k, first_row, n, a, lda);
      });
      expect_same_output<float>(n * (k + 2), what, [&](const GemmKernels& g, float* a) {
        g.transpose_f32(source, stride, k, first_row, n, a, k + 2);
      });
    }
  }
}

// The scalar packing itself, from the layouts' description.
TEST(GemmKernels, PackingFollowsItsLayout) {
  const std::int64_t k = 37, n = 19, padded = padded_k_bf16(k);
  const std::vector<float> rows = random_values(k * n, 3);  // B[p][j]
  std::vector<float> columns(rows.size());                  // B[p][j] = columns[j * k + p]
  for (std::int64_t p = 0; p < k; ++p) {
    for (std::int64_t j = 0; j < n; ++j) {
      columns[static_cast<std::size_t>(j * k + p)] = rows[static_cast<std::size_t>(p * n + j)];
    }
  }
  const GemmKernels& scalar = cpu::scalar::gemm_kernels();
  std::vector<float> f32(static_cast<std::size_t>(2 * kPanelWidth * k)), f32_columns = f32;
  std::vector<bf16> b16(static_cast<std::size_t>(2 * kPanelWidth * padded)), b16_columns = b16;
  scalar.pack_rows_f32(rows.data(), n, k, n, 0, 2, f32.data());
  scalar.pack_columns_f32(columns.data(), k, k, n, 0, 2, f32_columns.data());
  scalar.pack_rows_bf16(rows.data(), n, k, n, 0, 2, b16.data());
  scalar.pack_columns_bf16(columns.data(), k, k, n, 0, 2, b16_columns.data());
  EXPECT_EQ(f32, f32_columns);
  EXPECT_EQ(b16, b16_columns);
  for (std::int64_t p = 0; p < padded; ++p) {
    for (std::int64_t j = 0; j < 2 * kPanelWidth; ++j) {
      const float value = p < k && j < n ? rows[static_cast<std::size_t>(p * n + j)] : 0.0f;
      if (p < k) {
        EXPECT_EQ(f32[static_cast<std::size_t>((j / 16 * k + p) * 16 + j % 16)], value);
      }
      EXPECT_EQ(
          b16[static_cast<std::size_t>(j / 16 * 16 * padded + p / 2 * 32 + j % 16 * 2 + p % 2)],
          round_to_bf16(value));
    }
  }
}

}  // namespace
}  // namespace r1
