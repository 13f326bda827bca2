#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "backend/cpu/generic/exp.h"
#include "backend/cpu/scalar/lanes.h"
#include "backend/kernel_table.h"
#include "base/thread_pool.h"

// Accuracy of the elementary functions against libm in double, over a dense sample of all floats.
// The scalar kernels are the definition; the other sets give the same bits
// (vector_kernels_isa_test).
namespace r1 {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kSmallestNormal = 0x1p-126;

// Distance in units in the last place of the exact result, a normal float.
double error_in_ulp(float result, double exact) {
  const int exponent = std::ilogb(exact);
  return std::abs(static_cast<double>(result) - exact) / std::ldexp(1.0, exponent - 23);
}

// Calls visit(x) for floats with every exponent and both signs, `stride` bit patterns apart.
template <typename Visit>
void for_each_float(std::uint64_t stride, const Visit& visit) {
  for (std::uint64_t bits = 0; bits <= 0xFFFFFFFFu; bits += stride) {
    visit(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  }
}

// Rows of up to 4096 floats handed to `check`, as kernels want them.
template <typename Check>
void for_each_row(std::uint64_t stride, const Check& check) {
  std::vector<float> row;
  for_each_float(stride, [&](float x) {
    row.push_back(x);
    if (row.size() == 4096) {
      check(row);
      row.clear();
    }
  });
  check(row);
}

float exp_of(float x) {
  const FlushDenormals flush;
  float y;
  kernel_table(Isa::scalar).vector.exp(1, &x, &y);
  return y;
}

float log_of(float x) {
  const FlushDenormals flush;
  float lanes[16];
  cpu::generic::log(cpu::scalar::F32x16::broadcast(x)).store(lanes);
  return lanes[0];
}

TEST(Exp, IsWithinOneUnitInTheLastPlace) {
  const VectorKernels& kernels = kernel_table(Isa::scalar).vector;
  double worst = 0;
  for_each_row(997, [&](const std::vector<float>& row) {
    std::vector<float> result(row.size());
    {
      const FlushDenormals flush;
      kernels.exp(static_cast<std::int64_t>(row.size()), row.data(), result.data());
    }
    for (std::size_t i = 0; i < row.size(); ++i) {
      const double exact = std::exp(static_cast<double>(row[i]));
      if (std::isnan(row[i])) {
        ASSERT_TRUE(std::isnan(result[i]));
      } else if (exact < kSmallestNormal) {
        ASSERT_EQ(result[i], 0.0f) << row[i];
      } else if (exact >= 0x1.ffffffp127) {
        ASSERT_EQ(result[i], kInfinity) << row[i];
      } else {
        worst = std::max(worst, error_in_ulp(result[i], exact));
      }
    }
  });
  EXPECT_LT(worst, 0.9);
  EXPECT_GT(worst, 0.5);  // or the comparison is broken: nothing here rounds correctly
}

TEST(Exp, HoldsAtTheEnds) {
  EXPECT_EQ(exp_of(0.0f), 1.0f);
  EXPECT_EQ(exp_of(-0.0f), 1.0f);
  EXPECT_EQ(exp_of(1e-40f), 1.0f);
  EXPECT_EQ(exp_of(kInfinity), kInfinity);
  EXPECT_EQ(exp_of(-kInfinity), 0.0f);
  EXPECT_FALSE(std::signbit(exp_of(-kInfinity)));
  EXPECT_TRUE(std::isnan(exp_of(kNan)));
  EXPECT_TRUE(std::isnan(exp_of(-kNan)));
  // Both sides of each threshold.
  EXPECT_GT(exp_of(0x1.62e42ep6f), 3.4e38f);
  EXPECT_LT(exp_of(0x1.62e42ep6f), kInfinity);
  EXPECT_EQ(exp_of(0x1.62e430p6f), kInfinity);
  EXPECT_GE(exp_of(-0x1.5d589ep6f), 0x1p-126f);
  EXPECT_EQ(exp_of(-0x1.5d58a0p6f), 0.0f);
}

// The exponential never falls as x rises through neighbouring floats, so softmax keeps the order of
// its logits.
TEST(Exp, IsMonotonicOnNeighbouringFloats) {
  for (float start : {-87.3f, -20.0f, -1.04f, -0.347f, -0.001f, 0.0f, 0.3465f, 1.0397f, 50.0f}) {
    float x = start, before = exp_of(x);
    for (int i = 0; i < 20000; ++i) {
      x = std::nextafter(x, kInfinity);
      const float after = exp_of(x);
      ASSERT_GE(after, before) << x;
      before = after;
    }
  }
}

TEST(Log, IsWithinOneUnitInTheLastPlace) {
  double worst = 0;
  const auto visit = [&](float x) {
    if (!(x >= 0x1p-126f) || x == kInfinity || x == 1.0f) return;
    worst = std::max(worst, error_in_ulp(log_of(x), std::log(static_cast<double>(x))));
  };
  for_each_float(9973, visit);
  for (float x = 0.5f; x < 2.1f; x += 0x1p-18f) visit(x);  // where it crosses 0
  EXPECT_LT(worst, 1.0);
  EXPECT_GT(worst, 0.5);
}

TEST(Log, HoldsAtTheEnds) {
  EXPECT_EQ(log_of(1.0f), 0.0f);
  EXPECT_EQ(log_of(0.0f), -kInfinity);
  EXPECT_EQ(log_of(-0.0f), -kInfinity);
  EXPECT_EQ(log_of(1e-40f), -kInfinity);
  EXPECT_EQ(log_of(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(log_of(-1.0f)));
  EXPECT_TRUE(std::isnan(log_of(-kInfinity)));
  EXPECT_TRUE(std::isnan(log_of(kNan)));
}

// exp is off by 0.9 units at most, the sum and the quotient by half of one each; a unit measured
// below a power of two counts double above it: 2 (0.9 + 0.5) + 0.5 and some.
TEST(Sigmoid, IsWithinFourUnitsInTheLastPlace) {
  const VectorKernels& kernels = kernel_table(Isa::scalar).vector;
  double worst = 0;
  for_each_row(4999, [&](const std::vector<float>& row) {
    std::vector<float> result(row.size());
    {
      const FlushDenormals flush;
      kernels.sigmoid(static_cast<std::int64_t>(row.size()), row.data(), result.data());
    }
    for (std::size_t i = 0; i < row.size(); ++i) {
      const double exact = 1.0 / (1.0 + std::exp(-static_cast<double>(row[i])));
      if (std::isnan(row[i])) {
        ASSERT_TRUE(std::isnan(result[i]));
      } else if (exact < 2 * kSmallestNormal) {
        ASSERT_LE(result[i], 2.1f * 0x1p-126f);
      } else {
        worst = std::max(worst, error_in_ulp(result[i], exact));
      }
    }
  });
  EXPECT_LT(worst, 4);
}

}  // namespace
}  // namespace r1
