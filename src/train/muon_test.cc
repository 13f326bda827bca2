#include "train/muon.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "model/model.h"
#include "model/model_test_config.h"

namespace r1::train {
namespace {

using Matrix = std::vector<double>;

Matrix product(const Matrix& a, const Matrix& b, std::int64_t m, std::int64_t k, std::int64_t n) {
  Matrix c(static_cast<std::size_t>(m * n));
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t l = 0; l < k; ++l) {
      for (std::int64_t j = 0; j < n; ++j) {
        c[static_cast<std::size_t>(i * n + j)] +=
            a[static_cast<std::size_t>(i * k + l)] * b[static_cast<std::size_t>(l * n + j)];
      }
    }
  }
  return c;
}

Matrix transpose(const Matrix& a, std::int64_t m, std::int64_t n) {
  Matrix t(a.size());
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      t[static_cast<std::size_t>(j * m + i)] = a[static_cast<std::size_t>(i * n + j)];
    }
  }
  return t;
}

// The iteration in double precision, on the side that the matrix has.
Matrix reference(Matrix x, std::int64_t rows, std::int64_t columns) {
  double squares = 0.0;
  for (const double value : x) squares += value * value;
  for (double& value : x) value /= std::sqrt(squares);
  for (int i = 0; i < 5; ++i) {
    const Matrix gram = product(x, transpose(x, rows, columns), rows, columns, rows);
    Matrix polynomial = product(gram, gram, rows, rows, rows);
    for (std::size_t j = 0; j < gram.size(); ++j) {
      polynomial[j] = -4.7750 * gram[j] + 2.0315 * polynomial[j];
    }
    const Matrix moved = product(polynomial, x, rows, rows, columns);
    for (std::size_t j = 0; j < x.size(); ++j) x[j] = 3.4445 * x[j] + moved[j];
  }
  return x;
}

std::vector<float> normal_matrix(std::int64_t rows, std::int64_t columns) {
  Rng rng(3, static_cast<std::uint32_t>(rows), static_cast<std::uint32_t>(columns));
  std::vector<float> x(static_cast<std::size_t>(rows * columns));
  for (float& value : x) value = 5.0f * rng.normal();
  return x;
}

TEST(Muon, OrthogonalizesAsTheIterationInDoublePrecision) {
  Backend backend(1);
  for (const auto& [rows, columns] :
       {std::pair<std::int64_t, std::int64_t>{1, 7}, {16, 16}, {5, 33}, {33, 5}, {48, 80}}) {
    std::vector<float> x = normal_matrix(rows, columns);
    const Matrix wanted = reference(Matrix(x.begin(), x.end()), rows, columns);
    orthogonalize(backend, x, rows, columns);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(x[i], wanted[i], 0.04) << rows << " x " << columns << " at " << i;
    }
    // Rows (columns, if those are fewer) are about perpendicular and of length about one.
    const bool wide = rows <= columns;
    const Matrix values(x.begin(), x.end());
    const Matrix turned = transpose(values, rows, columns);
    const std::int64_t rank = std::min(rows, columns);
    const Matrix gram = wide ? product(values, turned, rows, columns, rows)
                             : product(turned, values, columns, rows, columns);
    double trace = 0.0, squares = 0.0;
    for (std::int64_t i = 0; i < rank; ++i) trace += gram[static_cast<std::size_t>(i * (rank + 1))];
    for (const double value : gram) squares += value * value;
    // Five iterations leave each singular value between 0.68 and 1.13.
    EXPECT_NEAR(trace / static_cast<double>(rank), 0.87, 0.42);
    // The mean square of the singular values' squares; random rows would give about `rank` more.
    EXPECT_LT(squares / static_cast<double>(rank), 1.7);
  }
}

TEST(Muon, ZerosStayZeros) {
  Backend backend(1);
  std::vector<float> x(12);
  orthogonalize(backend, x, 3, 4);
  EXPECT_EQ(x, std::vector<float>(12));
}

TEST(Muon, StepKeepsMomentumDecaysAndMoves) {
  Backend backend(1);
  constexpr std::int64_t kRows = 6, kColumns = 10;
  Weight weight;
  weight.shape = {kRows, kColumns};
  weight.value = AlignedBuffer<float>(kRows * kColumns);
  weight.gradient = AlignedBuffer<float>(kRows * kColumns);
  std::vector<float> momentum(kRows * kColumns, 0.5f);
  Rng rng(1);
  for (float& value : weight.value) value = rng.normal();
  for (float& value : weight.gradient) value = rng.normal();
  std::vector<float> update(momentum.size()), expected_momentum(momentum.size());
  for (std::size_t i = 0; i < update.size(); ++i) {
    const float gradient = 0.25f * weight.gradient[i];
    expected_momentum[i] = 0.9f * 0.5f + gradient;
    update[i] = gradient + 0.9f * expected_momentum[i];
  }
  orthogonalize(backend, update, kRows, kColumns);
  const std::vector<float> before(weight.value.begin(), weight.value.end());
  muon_step(backend,
            {.learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.2, .gradient_scale = 0.25},
            weight, momentum.data());
  for (std::size_t i = 0; i < update.size(); ++i) {
    EXPECT_NEAR(momentum[i], expected_momentum[i], 1e-6);
    const double moved = 0.98 * static_cast<double>(before[i]) -
                         0.1 * 0.2 * std::sqrt(10.0) * static_cast<double>(update[i]);
    EXPECT_NEAR(weight.value[i], moved, 1e-3);
  }
}

TEST(Muon, TakesTheMatricesBetweenHiddenStates) {
  Backend backend(1);
  const auto model = Model::initialise(backend, model_test::tiny_config(), r1::Precision::bf16, 1);
  std::vector<std::string> others;
  model->visit_weights([&](Weight& weight) {
    if (weight.shape.rank() == 2 && !is_hidden_matrix(weight)) others.push_back(weight.name);
    if (weight.shape.rank() == 1) {
      EXPECT_FALSE(is_hidden_matrix(weight)) << weight.name;
    }
  });
  for (const std::string& name : others) {
    EXPECT_TRUE(name.ends_with("embed_tokens.weight") || name.ends_with("head.weight") ||
                name.ends_with("mlp.gate.weight"))
        << name;
  }
  EXPECT_GE(others.size(), 3u);
}

}  // namespace
}  // namespace r1::train
