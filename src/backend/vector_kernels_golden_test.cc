#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "backend/kernel_table.h"
#include "base/thread_pool.h"

// The kernels against numbers that PyTorch computed in double precision.
namespace r1 {
namespace {

using Json = nlohmann::json;
using Row = std::vector<float>;

std::int64_t length(const Row& row) { return static_cast<std::int64_t>(row.size()); }

// |actual - expected| <= tolerance * max(1, |expected|).
void expect_near(const Row& actual, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << i;
  }
}

class VectorKernelsGoldenTest : public testing::TestWithParam<Isa> {
 protected:
  // The parsed file, or a skipped test where the golden folder is absent.
  Json golden(const std::string& name) {
    const char* dir = std::getenv("R1_GOLDEN_DIR");
    std::ifstream file(std::string(dir ? dir : "../shared/golden") + "/vectors/" + name);
    return file ? Json::parse(file) : Json();
  }

  const VectorKernels& kernels_ = kernel_table(GetParam()).vector;
  const FlushDenormals flush_;
};

INSTANTIATE_TEST_SUITE_P(Isas, VectorKernelsGoldenTest, testing::ValuesIn(supported_isas()),
                         [](const auto& param) { return std::string(name_of(param.param)); });

TEST_P(VectorKernelsGoldenTest, RmsNorm) {
  const Json file = golden("operators.json");
  if (file.is_null()) GTEST_SKIP() << "no golden folder";
  const Json& norm = file.at("rmsnorm");
  const Row w = norm.at("weight");
  Row dw(w.size());
  ASSERT_FALSE(norm.at("x").empty());
  for (std::size_t row = 0; row < norm.at("x").size(); ++row) {
    const Row x = norm.at("x")[row], dy = norm.at("dy")[row];
    Row y(x.size()), dx(x.size());
    const float rstd = kernels_.rms_norm(length(x), x.data(), w.data(), norm.at("eps"), y.data());
    kernels_.rms_norm_backward(length(x), x.data(), w.data(), rstd, dy.data(), dx.data());
    kernels_.rms_norm_weight_gradient(length(x), x.data(), rstd, dy.data(), dw.data());
    expect_near(y, norm.at("y")[row], 1e-6);
    expect_near(dx, norm.at("dx")[row], 1e-6);
  }
  expect_near(dw, norm.at("dweight"), 1e-6);
}

TEST_P(VectorKernelsGoldenTest, SwiGlu) {
  const Json file = golden("operators.json");
  if (file.is_null()) GTEST_SKIP() << "no golden folder";
  const Json& swiglu = file.at("swiglu");
  ASSERT_FALSE(swiglu.at("gate").empty());
  for (std::size_t row = 0; row < swiglu.at("gate").size(); ++row) {
    const Row gate = swiglu.at("gate")[row], up = swiglu.at("up")[row], dy = swiglu.at("dy")[row];
    Row y(gate.size()), dgate(gate.size()), dup(gate.size());
    kernels_.swiglu(length(gate), gate.data(), up.data(), y.data());
    kernels_.swiglu_backward(length(gate), gate.data(), up.data(), dy.data(), dgate.data(),
                             dup.data());
    expect_near(y, swiglu.at("y")[row], 1e-6);
    expect_near(dgate, swiglu.at("dgate")[row], 1e-6);
    expect_near(dup, swiglu.at("dup")[row], 1e-6);
  }
}

TEST_P(VectorKernelsGoldenTest, AdamW) {
  const Json file = golden("adamw.json");
  if (file.is_null()) GTEST_SKIP() << "no golden folder";
  ASSERT_FALSE(file.at("runs").empty());
  for (const auto& [name, run] : file.at("runs").items()) {
    SCOPED_TRACE(name);
    const Json& hyper = run.at("hyper");
    const double beta1 = hyper.at("betas")[0], beta2 = hyper.at("betas")[1];
    Row weight = run.at("p0");
    Row m(weight.size()), v(weight.size());
    for (std::size_t i = 0; i < run.at("grads").size(); ++i) {
      const Row gradient = run.at("grads")[i];
      const double steps = static_cast<double>(i + 1);
      const AdamWStep step{
          .learning_rate = hyper.at("lr"),
          .beta1 = static_cast<float>(beta1),
          .beta2 = static_cast<float>(beta2),
          .epsilon = hyper.at("eps"),
          .weight_decay = hyper.at("weight_decay"),
          .bias_correction1 = static_cast<float>(1 - std::pow(beta1, steps)),
          .bias_correction2 = static_cast<float>(1 - std::pow(beta2, steps)),
          .gradient_scale = 1.0f,
      };
      kernels_.adamw(length(weight), step, gradient.data(), m.data(), v.data(), weight.data());
      expect_near(weight, run.at("params")[i], 1e-6);
    }
    const std::vector<double> mean = run.at("exp_avg").back(), square = run.at("exp_avg_sq").back();
    for (std::size_t i = 0; i < weight.size(); ++i) {
      EXPECT_NEAR(m[i], mean[i], 1e-6 * std::abs(mean[i]) + 1e-9);
      // 1 - 0.999 in float is 1.3e-5 off.
      EXPECT_NEAR(v[i], square[i], 3e-5 * square[i]);
    }
  }
}

TEST_P(VectorKernelsGoldenTest, ClippedGradientNorm) {
  const Json file = golden("adamw.json");
  if (file.is_null()) GTEST_SKIP() << "no golden folder";
  const Json& clip = file.at("clip_grad_norm");
  double squares = 0;
  for (const Json& values : clip.at("grads")) {
    const Row gradient = values;
    squares += kernels_.sum_of_squares(length(gradient), gradient.data());
  }
  EXPECT_NEAR(std::sqrt(squares), clip.at("total_norm").get<double>(), 1e-6);
}

TEST_P(VectorKernelsGoldenTest, CrossEntropy) {
  const Json file = golden("cross_entropy.json");
  if (file.is_null()) GTEST_SKIP() << "no golden folder";
  double total = 0;
  int used = 0;
  for (const Json& label : file.at("labels")) used += label.get<int>() >= 0;
  ASSERT_GT(used, 0);
  for (std::size_t row = 0; row < file.at("labels").size(); ++row) {
    const std::int64_t label = file.at("labels")[row];
    if (label < 0) continue;
    const Row logits = file.at("logits")[row];
    const float lse = kernels_.log_sum_exp(length(logits), logits.data());
    total += lse - logits[static_cast<std::size_t>(label)];
    Row gradient(logits.size());
    kernels_.log_prob_gradient(length(logits), logits.data(), lse, label,
                               -1.0f / static_cast<float>(used), gradient.data());
    expect_near(gradient, file.at("grad")[row], 1e-6);
  }
  EXPECT_NEAR(total, file.at("sum_loss").get<double>(), 1e-5);

  const Json& extreme = file.at("extreme");
  for (std::size_t row = 0; row < extreme.at("labels").size(); ++row) {
    const Row logits = extreme.at("logits")[row];
    const std::size_t label = extreme.at("labels")[row];
    const float lse = kernels_.log_sum_exp(length(logits), logits.data());
    // Logits of 1000 are 6e-5 apart.
    EXPECT_NEAR(lse - logits[label], extreme.at("per_token_loss")[row].get<double>(), 6.2e-5);
  }
}

}  // namespace
}  // namespace r1
