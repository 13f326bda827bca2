#include "backend/matmul.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backend/gemm_test_data.h"
#include "base/error.h"

namespace r1 {
namespace {

using gemm_test::random_values;
using gemm_test::same_bits;

constexpr Precision kPrecisions[] = {Precision::f32, Precision::bf16};

// m, n, k that fall into every way of cutting: one row, few rows, many rows, few panels, many.
constexpr std::int64_t kSizes[][3] = {{1, 1, 1},     {1, 700, 900}, {3, 2000, 300},
                                      {40, 33, 65},  {97, 530, 61}, {300, 16, 128},
                                      {700, 90, 33}, {1300, 40, 17}};

std::vector<float> product(Backend& backend, Precision precision, const std::vector<float>& a,
                           const std::vector<float>& w, std::int64_t m, std::int64_t n,
                           std::int64_t k, std::vector<float> c, bool accumulate) {
  PackedMatrix packed;
  pack_transposed(backend, precision, w.data(), k, n, k, packed);
  matmul(backend, a.data(), k, m, packed, c.data(), n, accumulate);
  return c;
}

TEST(Matmul, IsTheProduct) {
  Backend backend(2);
  for (const Precision precision : kPrecisions) {
    for (const auto& [m, n, k] : kSizes) {
      const std::vector<float> a = random_values(m * k, 1), w = random_values(n * k, 2);
      const std::vector<float> before = random_values(m * n, 3);
      const std::vector<float> c = product(backend, precision, a, w, m, n, k, before, true);
      // Factors are rounded to 8 bits, each by at most one part in 2^8; sums in f32.
      const double unit = precision == Precision::bf16 ? 2.02 / 256 : 0.0;
      const double bound = unit + static_cast<double>(k + 2) * 0x1p-24;
      for (std::int64_t i = 0; i < m; i += 1 + m / 40) {
        for (std::int64_t j = 0; j < n; j += 1 + n / 40) {
          double sum = before[static_cast<std::size_t>(i * n + j)], size = std::abs(sum);
          for (std::int64_t p = 0; p < k; ++p) {
            const double term = double{a[static_cast<std::size_t>(i * k + p)]} *
                                double{w[static_cast<std::size_t>(j * k + p)]};
            sum += term;
            size += std::abs(term);
          }
          ASSERT_NEAR(c[static_cast<std::size_t>(i * n + j)], sum, bound * size)
              << m << ' ' << n << ' ' << k;
        }
      }
    }
  }
}

TEST(Matmul, BothPackingsGiveTheSameBits) {
  Backend backend(2);
  const std::int64_t m = 50, n = 77, k = 45;
  const std::vector<float> a = random_values(m * k, 1), w = random_values(n * k, 2);
  std::vector<float> transposed(w.size());
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t p = 0; p < k; ++p) {
      transposed[static_cast<std::size_t>(p * n + j)] = w[static_cast<std::size_t>(j * k + p)];
    }
  }
  for (const Precision precision : kPrecisions) {
    const std::vector<float> zero(static_cast<std::size_t>(m * n));
    PackedMatrix packed;
    pack(backend, precision, transposed.data(), n, k, n, packed);
    std::vector<float> c(zero.size());
    matmul(backend, a.data(), k, m, packed, c.data(), n, false);
    EXPECT_TRUE(same_bits(c, product(backend, precision, a, w, m, n, k, zero, false)));
    EXPECT_GE(packed.bytes(), n * k * (precision == Precision::bf16 ? 2 : 4));
  }
}

// Threads, instruction sets and company in the batch leave no trace in the bits.
TEST(Matmul, BitsDependOnTheFactorsAlone) {
  for (const Precision precision : kPrecisions) {
    for (const auto& [m, n, k] : kSizes) {
      const std::vector<float> a = random_values(m * k, 1), w = random_values(n * k, 2);
      const std::vector<float> before = random_values(m * n, 3);
      Backend alone(1, Isa::scalar);
      const std::vector<float> expected = product(alone, precision, a, w, m, n, k, before, true);
      for (const Isa isa : supported_isas()) {
        for (int threads = 1; threads <= 3; ++threads) {
          Backend backend(threads, isa);
          EXPECT_TRUE(same_bits(expected, product(backend, precision, a, w, m, n, k, before, true)))
              << name_of(isa) << ' ' << threads << " threads " << m << ' ' << n << ' ' << k;
        }
      }
      Backend backend(2);
      PackedMatrix packed;
      pack_transposed(backend, precision, w.data(), k, n, k, packed);
      const std::int64_t row = m / 2;
      std::vector<float> c(before.begin() + row * n, before.begin() + (row + 1) * n);
      matmul(backend, a.data() + row * k, k, 1, packed, c.data(), n, true);
      EXPECT_TRUE(same_bits(c.data(), expected.data() + row * n, n)) << m << ' ' << n << ' ' << k;
    }
  }
}

TEST(Matmul, GroupsGiveTheBitsOfSingleProducts) {
  for (const Precision precision : kPrecisions) {
    Backend backend(2);
    std::vector<std::vector<float>> as, cs, expected;
    std::vector<PackedMatrix> packed(std::size(kSizes));
    std::vector<MatmulTask> tasks;
    for (std::size_t t = 0; t < std::size(kSizes); ++t) {
      const auto& [m, n, k] = kSizes[t];
      as.push_back(random_values(m * k, t));
      const std::vector<float> w = random_values(n * k, 100 + t);
      cs.push_back(random_values(m * n, 200 + t));
      const bool accumulate = t % 2 == 0;
      expected.push_back(product(backend, precision, as[t], w, m, n, k, cs[t], accumulate));
      pack_transposed(backend, precision, w.data(), k, n, k, packed[t]);
      tasks.push_back({as[t].data(), k, m, &packed[t], cs[t].data(), n, accumulate});
    }
    tasks.push_back({nullptr, 0, 0, &packed[0], nullptr, 0, false});  // an expert nobody chose
    matmul_grouped(backend, tasks.data(), static_cast<std::int64_t>(tasks.size()));
    for (std::size_t t = 0; t < cs.size(); ++t) EXPECT_TRUE(same_bits(cs[t], expected[t])) << t;
  }
}

TEST(Matmul, RowsApartFromEachOtherKeepWhatLiesBetween) {
  Backend backend(2);
  const std::int64_t m = 120, n = 40, k = 50, lda = 61, ldc = 57;
  const std::vector<float> a = random_values(m * lda, 1), w = random_values(n * k, 2);
  std::vector<float> dense;
  for (std::int64_t i = 0; i < m; ++i) {
    dense.insert(dense.end(), a.begin() + i * lda, a.begin() + i * lda + k);
  }
  for (const Precision precision : kPrecisions) {
    const std::vector<float> zero(static_cast<std::size_t>(m * n));
    const std::vector<float> expected = product(backend, precision, dense, w, m, n, k, zero, false);
    PackedMatrix packed;
    pack_transposed(backend, precision, w.data(), k, n, k, packed);
    std::vector<float> c(static_cast<std::size_t>(m * ldc), 7.0f);
    matmul(backend, a.data(), lda, m, packed, c.data(), ldc, false);
    for (std::int64_t i = 0; i < m; ++i) {
      EXPECT_TRUE(same_bits(c.data() + i * ldc, expected.data() + i * n, n));
      for (std::int64_t j = n; j < ldc; ++j) {
        EXPECT_EQ(c[static_cast<std::size_t>(i * ldc + j)], 7.0f);
      }
    }
  }
}

// dW by the definition: transpose dY, pack X, one product over all tokens.
std::vector<float> weight_gradient_by_definition(Precision precision, const std::vector<float>& dy,
                                                 const std::vector<float>& x, std::int64_t m,
                                                 std::int64_t n, std::int64_t k,
                                                 std::vector<float> dw) {
  Backend scalar(1, Isa::scalar);
  std::vector<float> dy_transposed(dy.size());
  for (std::int64_t t = 0; t < m; ++t) {
    for (std::int64_t i = 0; i < n; ++i) {
      dy_transposed[static_cast<std::size_t>(i * m + t)] = dy[static_cast<std::size_t>(t * n + i)];
    }
  }
  PackedMatrix packed;
  pack(scalar, precision, x.data(), k, m, k, packed);
  matmul(scalar, dy_transposed.data(), m, n, packed, dw.data(), k, true);
  return dw;
}

// tokens, n, k: fewer tokens than a block, several chunks (2600 x 60), large outputs.
constexpr std::int64_t kGradientSizes[][3] = {{0, 5, 5},      {1, 1, 1},      {31, 20, 7},
                                              {100, 130, 66}, {9000, 33, 27}, {513, 300, 200}};

TEST(MatmulWeightGradient, BitsFollowTheDefinition) {
  for (const Precision precision : kPrecisions) {
    for (const auto& [m, n, k] : kGradientSizes) {
      const std::vector<float> dy = random_values(m * n, 1), x = random_values(m * k, 2);
      const std::vector<float> before = random_values(n * k, 3);
      const std::vector<float> expected =
          weight_gradient_by_definition(precision, dy, x, m, n, k, before);
      for (const Isa isa : supported_isas()) {
        if (isa == Isa::scalar && m > 1000) continue;
        for (int threads = 1; threads <= 3; ++threads) {
          Backend backend(threads, isa);
          std::vector<float> dw = before;
          matmul_weight_gradient(backend, precision, dy.data(), n, x.data(), k, m, n, k, dw.data());
          EXPECT_TRUE(same_bits(dw, expected))
              << name_of(isa) << ' ' << threads << " threads " << m << ' ' << n << ' ' << k;
        }
      }
    }
  }
}

TEST(MatmulWeightGradient, GroupsGiveTheBitsOfSingleProducts) {
  for (const Precision precision : kPrecisions) {
    Backend backend(2);
    std::vector<std::vector<float>> dys, xs, dws, expected;
    std::vector<WeightGradientTask> tasks;
    for (std::size_t t = 0; t < std::size(kGradientSizes); ++t) {
      const auto& [m, n, k] = kGradientSizes[t];
      dys.push_back(random_values(m * n, t));
      xs.push_back(random_values(m * k, 50 + t));
      dws.push_back(random_values(n * k, 100 + t));
      expected.push_back(dws[t]);
      matmul_weight_gradient(backend, precision, dys[t].data(), n, xs[t].data(), k, m, n, k,
                             expected[t].data());
    }
    for (std::size_t t = 0; t < std::size(kGradientSizes); ++t) {
      const auto& [m, n, k] = kGradientSizes[t];
      tasks.push_back({dys[t].data(), n, xs[t].data(), k, m, n, k, dws[t].data(), k});
    }
    matmul_weight_gradient_grouped(backend, precision, tasks.data(),
                                   static_cast<std::int64_t>(tasks.size()));
    for (std::size_t t = 0; t < dws.size(); ++t) EXPECT_TRUE(same_bits(dws[t], expected[t])) << t;
  }
}

}  // namespace
}  // namespace r1
