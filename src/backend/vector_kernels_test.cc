#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "backend/kernel_table.h"
#include "base/rng.h"
#include "base/thread_pool.h"

// Each kernel against its textbook formula in double precision. The bounds follow from the
// roundings that docs/numerics.md allows: kUnit for each operation, two of them for exp (0.9 units
// in the last place), chain(n) for a sum of n.
namespace r1 {
namespace {

using Row = std::vector<float>;

constexpr double kUnit = 0x1p-24;  // relative error of one rounding
constexpr double kFlushed = 0x1p-126;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Roundings that a term of a 16-lane sum over n passes through.
double chain(std::size_t n) { return static_cast<double>((n + 15) / 16) + 4; }

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Relative error of the sigmoid kernel: exp (1.8), sum, quotient.
constexpr double kSigmoidError = 4 * kUnit;

class VectorKernelsTest : public testing::TestWithParam<Isa> {
 protected:
  Row random_row(std::size_t n, float spread = 1.0f) {
    Row row(n);
    for (float& value : row) value = spread * rng_.normal();
    return row;
  }

  // Also at lengths on both sides of the vector width.
  static constexpr std::size_t kLengths[] = {1, 15, 16, 17, 40, 700};

  const VectorKernels& kernels_ = kernel_table(GetParam()).vector;
  const FlushDenormals flush_;
  Rng rng_{21};
};

std::int64_t length(const Row& row) { return static_cast<std::int64_t>(row.size()); }

INSTANTIATE_TEST_SUITE_P(Isas, VectorKernelsTest, testing::ValuesIn(supported_isas()),
                         [](const auto& param) { return std::string(name_of(param.param)); });

TEST_P(VectorKernelsTest, ElementwiseArithmeticIsRoundedOnce) {
  for (std::size_t n : kLengths) {
    const Row a = random_row(n), b = random_row(n);
    Row sum(n), into = b, fused = b, scaled(n);
    kernels_.add(length(a), a.data(), b.data(), sum.data());
    kernels_.add_into(length(a), a.data(), into.data());
    kernels_.multiply_add(length(a), 0.3f, a.data(), fused.data());
    kernels_.scale(length(a), 0.3f, a.data(), scaled.data());
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_EQ(sum[i], a[i] + b[i]);
      EXPECT_EQ(into[i], b[i] + a[i]);
      EXPECT_EQ(fused[i], std::fma(0.3f, a[i], b[i]));
      EXPECT_EQ(scaled[i], 0.3f * a[i]);
    }
  }
}

TEST_P(VectorKernelsTest, OutputMayBeAnInput) {
  const Row a = random_row(37), b = random_row(37);
  Row expected(37), in_place = a;
  kernels_.swiglu(37, a.data(), b.data(), expected.data());
  kernels_.swiglu(37, in_place.data(), b.data(), in_place.data());
  EXPECT_EQ(in_place, expected);
  in_place = a;
  kernels_.softmax(37, a.data(), expected.data());
  kernels_.softmax(37, in_place.data(), in_place.data());
  EXPECT_EQ(in_place, expected);
  in_place = a;
  kernels_.log_prob_gradient(37, a.data(), 4.0f, 30, 0.5f, expected.data());
  kernels_.log_prob_gradient(37, in_place.data(), 4.0f, 30, 0.5f, in_place.data());
  EXPECT_EQ(in_place, expected);
}

// Every bf16 and its neighbourhood: exact values, both halves, ties, overflow, infinities, NaN.
TEST_P(VectorKernelsTest, Bf16RoundsToNearestEven) {
  Row x;
  for (std::uint32_t upper = 0; upper <= 0xFFFF; ++upper) {
    for (std::uint32_t lower : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      x.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
  }
  std::vector<bf16> words(x.size());
  Row values(x.size()), widened(x.size());
  kernels_.round_bf16(length(x), x.data(), words.data());
  kernels_.round_to_bf16_values(length(x), x.data(), values.data());
  kernels_.widen_bf16(length(x), words.data(), widened.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bf16 expected = round_to_bf16(x[i]);
    const auto bits = static_cast<std::uint32_t>(expected.bits) << 16;
    ASSERT_EQ(words[i].bits, expected.bits) << std::hexfloat << x[i];
    ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]), bits);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(widened[i]), bits);
  }
}

TEST_P(VectorKernelsTest, SwiGlu) {
  for (std::size_t n : kLengths) {
    const Row gate = random_row(n, 20), up = random_row(n), dout = random_row(n);
    const Row dgate_before = random_row(n), dup_before = random_row(n);
    Row out(n), dgate = dgate_before, dup = dup_before;
    kernels_.swiglu(length(gate), gate.data(), up.data(), out.data());
    kernels_.swiglu_backward(length(gate), gate.data(), up.data(), dout.data(), dgate.data(),
                             dup.data());
    for (std::size_t i = 0; i < n; ++i) {
      const double x = gate[i], u = up[i], d = dout[i], s = sigmoid(x);
      const double silu = x * s, slope = s + silu * (1 - s);
      EXPECT_NEAR(out[i], silu * u,
                  (kSigmoidError + 2 * kUnit) * std::abs(silu * u) + kFlushed * std::abs(x * u));
      // 1 - s is off by the error of s and a rounding of its own.
      const double rest_error = kSigmoidError * s + kUnit * (1 - s);
      const double slope_error = std::abs(silu) * rest_error +
                                 (kSigmoidError + kUnit) * std::abs(silu * (1 - s)) +
                                 kSigmoidError * s + kUnit * std::abs(slope) + 50 * kFlushed;
      EXPECT_NEAR(dgate[i], dgate_before[i] + d * u * slope,
                  std::abs(d * u) * (slope_error + kUnit * std::abs(slope)) +
                      1.01 * kUnit * std::abs(dgate_before[i] + d * u * slope));
      EXPECT_NEAR(dup[i], dup_before[i] + d * silu,
                  (kSigmoidError + kUnit) * std::abs(d * silu) + 50 * kFlushed +
                      1.01 * kUnit * std::abs(dup_before[i] + d * silu));
    }
  }
}

TEST_P(VectorKernelsTest, Sums) {
  for (std::size_t n : kLengths) {
    const Row a = random_row(n), b = random_row(n);
    double sum = 0, dot = 0, squares = 0, sum_size = 0, dot_size = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double x = a[i], y = b[i];
      sum += x;
      dot += x * y;
      squares += x * x;
      sum_size += std::abs(x);
      dot_size += std::abs(x * y);
    }
    EXPECT_NEAR(kernels_.sum(length(a), a.data()), sum, chain(n) * kUnit * sum_size);
    EXPECT_NEAR(kernels_.dot(length(a), a.data(), b.data()), dot, chain(n) * kUnit * dot_size);
    EXPECT_NEAR(kernels_.sum_of_squares(length(a), a.data()), squares, 1e-13 * squares);
    EXPECT_EQ(kernels_.max(length(a), a.data()), *std::max_element(a.begin(), a.end()));
  }
  EXPECT_EQ(kernels_.sum(0, nullptr), 0.0f);
  // Where the squares of floats would overflow.
  const Row huge(3, 0x1p100f);
  EXPECT_EQ(kernels_.sum_of_squares(3, huge.data()), 3 * 0x1p200);
}

TEST_P(VectorKernelsTest, MaxSeesEveryPlaceAndKeepsNan) {
  for (std::size_t n : {1u, 16u, 17u, 35u, 64u}) {
    for (std::size_t i = 0; i < n; ++i) {
      Row x(n, -5.0f);
      x[i] = -4.0f;
      EXPECT_EQ(kernels_.max(length(x), x.data()), -4.0f);
      x[i] = kNan;
      EXPECT_TRUE(std::isnan(kernels_.max(length(x), x.data()))) << n << " " << i;
    }
  }
  const Row none(20, -kInfinity);
  EXPECT_EQ(kernels_.max(20, none.data()), -kInfinity);
}

TEST_P(VectorKernelsTest, RmsNorm) {
  constexpr float kEps = 1e-6f;
  for (std::size_t n : kLengths) {
    const Row x = random_row(n, 2), w = random_row(n), dy = random_row(n);
    const Row dx_before = random_row(n), dw_before = random_row(n);
    Row y(n), dx = dx_before, dw = dw_before;
    const float rstd = kernels_.rms_norm(length(x), x.data(), w.data(), kEps, y.data());
    kernels_.rms_norm_backward(length(x), x.data(), w.data(), rstd, dy.data(), dx.data());
    kernels_.rms_norm_weight_gradient(length(x), x.data(), rstd, dy.data(), dw.data());

    double squares = 0, product = 0, product_size = 0;
    for (std::size_t i = 0; i < n; ++i) {
      squares += static_cast<double>(x[i]) * x[i];
      product += static_cast<double>(w[i]) * dy[i] * x[i];
      product_size += std::abs(static_cast<double>(w[i]) * dy[i] * x[i]);
    }
    const double count = static_cast<double>(n);
    const double r = 1 / std::sqrt(squares / count + kEps);
    const double mean = product / count;
    // Half of: the sum, the quotient, adding eps; then the root and the reciprocal.
    const double r_error = ((chain(n) + 2) / 2 + 2) * kUnit;
    const double mean_error = (chain(n) + 2) * kUnit * product_size / count;
    EXPECT_NEAR(rstd, r, r_error * r);
    for (std::size_t i = 0; i < n; ++i) {
      const double value = x[i] * r * w[i];
      EXPECT_NEAR(y[i], value, (r_error + 2 * kUnit) * std::abs(value));
      const double direct = static_cast<double>(w[i]) * dy[i], along = x[i] * r * r * mean;
      const double gradient = dx_before[i] + r * (direct - along);
      EXPECT_NEAR(dx[i], gradient,
                  r * (r_error + 2 * kUnit) * std::abs(direct) +
                      r * (3 * r_error + 5 * kUnit) * std::abs(along) +
                      r * r * r * std::abs(x[i]) * mean_error + 1.01 * kUnit * std::abs(gradient));
      const double weight_gradient = dw_before[i] + dy[i] * (x[i] * r);
      EXPECT_NEAR(dw[i], weight_gradient,
                  (r_error + kUnit) * std::abs(dy[i] * x[i] * r) +
                      1.01 * kUnit * std::abs(weight_gradient));
    }
  }
}

TEST_P(VectorKernelsTest, RopeRotatesPairsAndBack) {
  for (std::size_t half : {1u, 4u, 16u, 19u, 32u}) {
    const Row x = random_row(2 * half);
    Row cos(half), sin(half);
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = rng_.normal() * 3.0;
      cos[i] = static_cast<float>(std::cos(angle));
      sin[i] = static_cast<float>(std::sin(angle));
    }
    Row interleaved = x, halves = x;
    const std::int64_t dim = length(x);
    kernels_.rope_interleaved(dim, cos.data(), sin.data(), 1.0f, interleaved.data());
    kernels_.rope_halves(dim, cos.data(), sin.data(), 1.0f, halves.data());
    const auto expect_rotated = [&](const Row& out, std::size_t i, std::size_t first,
                                    std::size_t second) {
      const double a = x[first], b = x[second], c = cos[i], s = sin[i];
      const double bound = 2 * kUnit * (std::abs(a) + std::abs(b));
      EXPECT_NEAR(out[first], a * c - b * s, bound);
      EXPECT_NEAR(out[second], a * s + b * c, bound);
    };
    for (std::size_t i = 0; i < half; ++i) {
      expect_rotated(interleaved, i, 2 * i, 2 * i + 1);
      expect_rotated(halves, i, i, half + i);
    }
    kernels_.rope_interleaved(dim, cos.data(), sin.data(), -1.0f, interleaved.data());
    kernels_.rope_halves(dim, cos.data(), sin.data(), -1.0f, halves.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(interleaved[i], x[i], 2e-6);
      EXPECT_NEAR(halves[i], x[i], 2e-6);
    }
  }
}

TEST_P(VectorKernelsTest, SoftmaxFamily) {
  for (std::size_t n : kLengths) {
    for (float spread : {0.1f, 3.0f, 30.0f}) {
      const Row x = random_row(n, spread);
      const double greatest = *std::max_element(x.begin(), x.end());
      const double range = greatest - *std::min_element(x.begin(), x.end());
      double sum = 0;
      for (float value : x) sum += std::exp(value - greatest);
      const double lse = greatest + std::log(sum);

      // x - m is off by kUnit of itself, which exp turns into a relative error.
      const double sum_error = (range + 2 + chain(n)) * kUnit;
      const float actual_lse = kernels_.log_sum_exp(length(x), x.data());
      EXPECT_NEAR(actual_lse, lse,
                  1.01 * (sum_error + 2 * kUnit * std::log(sum) + kUnit * std::abs(lse)));

      Row p(n), gradient(n);
      kernels_.softmax(length(x), x.data(), p.data());
      const std::int64_t target = length(x) / 2;
      kernels_.log_prob_gradient(length(x), x.data(), actual_lse, target, -1.5f, gradient.data());
      double entropy = 0, entropy_error = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const double share = std::exp(x[i] - greatest) / sum;
        EXPECT_NEAR(p[i], share, (range + 4) * kUnit * share + sum_error * share + kFlushed);
        // From here on lse is what the kernels were given.
        const double gap = static_cast<double>(actual_lse) - x[i], q = std::exp(-gap);
        const double q_error = (std::abs(gap) + 2) * kUnit * q + kFlushed;
        const double one = static_cast<std::int64_t>(i) == target ? 1 : 0;
        EXPECT_NEAR(gradient[i], -1.5 * (one - q),
                    1.5 * q_error + 3.1 * kUnit * std::abs(one - q) + kFlushed);
        entropy += q * gap;
        entropy_error += std::abs(gap) * (q_error + (1 + chain(n)) * kUnit * q);
      }
      EXPECT_NEAR(kernels_.entropy(length(x), x.data(), actual_lse), entropy, 1.01 * entropy_error);
    }
  }
}

TEST_P(VectorKernelsTest, SoftmaxOfMaskedRows) {
  const std::size_t n = 35;
  Row x(n, -kInfinity), p(n);
  x[3] = 2.0f;
  x[33] = 2.0f;
  const float lse = kernels_.log_sum_exp(35, x.data());
  EXPECT_FLOAT_EQ(lse, 2.0f + std::log(2.0f));
  EXPECT_FLOAT_EQ(kernels_.entropy(35, x.data(), lse), std::log(2.0f));
  kernels_.softmax(35, x.data(), p.data());
  for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(p[i], i == 3 || i == 33 ? 0.5f : 0.0f);

  const Row none(n, -kInfinity);
  EXPECT_EQ(kernels_.log_sum_exp(35, none.data()), -kInfinity);
  x[20] = kInfinity;
  EXPECT_EQ(kernels_.log_sum_exp(35, x.data()), kInfinity);
  x[21] = kNan;
  EXPECT_TRUE(std::isnan(kernels_.log_sum_exp(35, x.data())));
}

TEST_P(VectorKernelsTest, AdamW) {
  constexpr AdamWStep kStep{.learning_rate = 1e-2f,
                            .beta1 = 0.9f,
                            .beta2 = 0.95f,
                            .epsilon = 1e-8f,
                            .weight_decay = 0.1f,
                            .bias_correction1 = 0.19f,
                            .bias_correction2 = 0.0975f,
                            .gradient_scale = 0.25f};
  const double b1 = kStep.beta1, b2 = kStep.beta2, rate = kStep.learning_rate;
  for (std::size_t n : kLengths) {
    const Row gradient = random_row(n), m0 = random_row(n, 0.1f), w0 = random_row(n);
    Row v0 = random_row(n, 0.1f);
    for (float& value : v0) value *= value;
    Row m = m0, v = v0, w = w0;
    kernels_.adamw(length(w), kStep, gradient.data(), m.data(), v.data(), w.data());
    for (std::size_t i = 0; i < n; ++i) {
      const double g = 0.25 * gradient[i];
      const double mean = b1 * m0[i] + (1 - b1) * g, square = b2 * v0[i] + (1 - b2) * g * g;
      const double m_error = kUnit * (std::abs(mean) + 3 * std::abs((1 - b1) * g));
      EXPECT_NEAR(m[i], mean, m_error);
      EXPECT_NEAR(v[i], square, 5 * kUnit * square);
      const double scale =
          1 / kStep.bias_correction1 /
          (std::sqrt(square / kStep.bias_correction2) + static_cast<double>(kStep.epsilon));
      const double decayed = (1 - rate * kStep.weight_decay) * w0[i];
      const double expected = decayed - rate * mean * scale;
      EXPECT_NEAR(w[i], expected,
                  rate * scale * (m_error + 8 * kUnit * std::abs(mean)) +
                      3 * kUnit * std::abs(decayed) + 1.01 * kUnit * std::abs(expected));
    }
  }
}

}  // namespace
}  // namespace r1
