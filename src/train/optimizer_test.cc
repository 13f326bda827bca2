#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "model/model_test_config.h"

namespace r1::train {
namespace {

OptimizerConfig optimizer_config() {
  OptimizerConfig config;
  config.weight_decay = 0.1;
  config.adam_beta1 = 0.9;
  config.adam_beta2 = 0.95;
  config.adam_epsilon = 1e-8;
  config.max_grad_norm = 0.0;
  return config;
}

std::vector<float> all_values(Model& model) {
  std::vector<float> values;
  model.visit_weights([&](Weight& weight) {
    values.insert(values.end(), weight.value.begin(), weight.value.end());
  });
  return values;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class OptimizerTest : public testing::Test {
 protected:
  std::unique_ptr<Model> make(Backend& backend) {
    return Model::initialise(backend, model_test::tiny_config(), r1::Precision::bf16, 1);
  }
  // Normal gradients, the same for the same step.
  static void set_gradients(Model& model, std::uint32_t step, float deviation = 1.0f) {
    std::uint32_t index = 0;
    model.visit_weights([&](Weight& weight) {
      Rng rng(2, step, index++);
      for (float& value : weight.gradient) value = rng.normal() * deviation;
    });
  }
  static double gradient_norm(Model& model) {
    double squares = 0.0;
    model.visit_weights([&](Weight& weight) {
      for (const float value : weight.gradient) {
        squares += static_cast<double>(value) * static_cast<double>(value);
      }
    });
    return std::sqrt(squares);
  }

  Backend backend_{2};
};

// Three steps against the formula in double precision; matrices decay, vectors do not, and the
// routing bias is not the optimiser's.
TEST_F(OptimizerTest, FollowsTheFormula) {
  const auto model = make(backend_);
  const OptimizerConfig config = optimizer_config();
  Optimizer optimizer(*model, config);
  std::vector<std::vector<double>> values, first, second;
  model->visit_weights([&](Weight& weight) {
    values.emplace_back(weight.value.begin(), weight.value.end());
    first.emplace_back(weight.value.size());
    second.emplace_back(weight.value.size());
  });
  const double rate = 0.01;
  for (std::uint32_t step = 1; step <= 3; ++step) {
    set_gradients(*model, step);
    std::size_t w = 0;
    model->visit_weights([&](Weight& weight) {
      for (std::size_t i = 0; i < weight.gradient.size(); ++i) {
        const double g = static_cast<double>(weight.gradient[i]);
        double& m = first[w][i];
        double& v = second[w][i];
        m = 0.9 * m + 0.1 * g;
        v = 0.95 * v + 0.05 * g * g;
        if (weight.shape.rank() == 2) values[w][i] *= 1.0 - rate * 0.1;
        values[w][i] -= rate * (m / (1.0 - std::pow(0.9, step))) /
                        (std::sqrt(v / (1.0 - std::pow(0.95, step))) + 1e-8);
      }
      ++w;
    });
    const double norm = gradient_norm(*model);
    const std::uint64_t version = model->version();
    EXPECT_NEAR(optimizer.step(backend_, rate), norm, 1e-6 * norm);
    EXPECT_GT(model->version(), version);
    EXPECT_EQ(gradient_norm(*model), 0.0);
    w = 0;
    model->visit_weights([&](Weight& weight) {
      for (std::size_t i = 0; i < weight.value.size(); ++i) {
        ASSERT_NEAR(weight.value[i], values[w][i], 2e-6) << weight.name << " " << i;
      }
      ++w;
    });
  }
  EXPECT_EQ(optimizer.steps(), 3);
}

TEST_F(OptimizerTest, ClippingScalesTheWholeGradient) {
  OptimizerConfig config = optimizer_config();
  config.weight_decay = 0.0;
  // The first moment after one step is (1 - beta1) times the gradient as it was applied.
  for (const double max_norm : {0.5, 1e9}) {
    const auto model = make(backend_);
    config.max_grad_norm = max_norm;
    Optimizer optimizer(*model, config);
    set_gradients(*model, 1, 3.0f);
    const double before = gradient_norm(*model);
    EXPECT_GT(before, 100.0);
    EXPECT_NEAR(optimizer.step(backend_, 0.01), before, 1e-6 * before) << "before clipping";
    double squares = 0.0;
    for (const Optimizer::Moments& moments : optimizer.moments()) {
      for (const float value : moments.first) squares += std::pow(static_cast<double>(value), 2);
    }
    const double applied = std::min(before, max_norm);
    EXPECT_NEAR(std::sqrt(squares) / 0.1, applied, 1e-5 * applied);
  }
}

TEST_F(OptimizerTest, ANormThatIsNotFiniteChangesNothing) {
  for (const float poison :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto model = make(backend_);
    Optimizer optimizer(*model, optimizer_config());
    set_gradients(*model, 1);
    optimizer.step(backend_, 0.01);
    const std::vector<float> before = all_values(*model);
    const float momentum = optimizer.moments()[3].first[5];
    set_gradients(*model, 2);
    model->visit_weights([&](Weight& weight) {
      if (weight.name == "model.norm.weight") weight.gradient[0] = poison;
    });
    EXPECT_FALSE(std::isfinite(optimizer.step(backend_, 0.01)));
    EXPECT_TRUE(same_bits(all_values(*model), before));
    EXPECT_EQ(optimizer.moments()[3].first[5], momentum);
    EXPECT_EQ(optimizer.steps(), 1);
    EXPECT_EQ(gradient_norm(*model), 0.0) << "the next update begins clean";
  }
}

TEST_F(OptimizerTest, ThreadsAndInstructionSetsChangeNoBits) {
  const auto run = [&](OptimizerKind kind, int threads, Isa isa) {
    Backend backend(threads, isa);
    const auto model = make(backend);
    OptimizerConfig config = optimizer_config();
    config.optim = kind;
    config.max_grad_norm = 1.0;
    Optimizer optimizer(*model, config);
    for (std::uint32_t step = 0; step < 4; ++step) {
      set_gradients(*model, step);
      optimizer.step(backend, 0.003);
    }
    return all_values(*model);
  };
  for (const OptimizerKind kind : {OptimizerKind::kAdamW, OptimizerKind::kMuon}) {
    const std::vector<float> wanted = run(kind, 1, Isa::scalar);
    for (const Isa isa : supported_isas()) {
      for (const int threads : {1, 2, 3}) EXPECT_TRUE(same_bits(run(kind, threads, isa), wanted));
    }
  }
}

// What a checkpoint does: masters, momenta and the number of steps give the same next step.
TEST_F(OptimizerTest, GoesOnFromItsState) {
  const auto model = make(backend_), other = make(backend_);
  OptimizerConfig config = optimizer_config();
  config.optim = OptimizerKind::kMuon;  // with AdamW for the embeddings
  Optimizer optimizer(*model, config), resumed(*other, config);
  for (std::uint32_t step = 0; step < 57; ++step) {
    set_gradients(*model, step);
    optimizer.step(backend_, 0.003);
  }
  other->copy_weights(backend_, *model);
  for (std::size_t i = 0; i < optimizer.moments().size(); ++i) {
    const Optimizer::Moments& from = optimizer.moments()[i];
    Optimizer::Moments& to = resumed.moments()[i];
    std::copy(from.first.begin(), from.first.end(), to.first.begin());
    std::copy(from.second.begin(), from.second.end(), to.second.begin());
  }
  resumed.set_steps(optimizer.steps());
  for (const auto& [m, o] : {std::pair(model.get(), &optimizer), {other.get(), &resumed}}) {
    set_gradients(*m, 99);
    o->step(backend_, 0.003);
  }
  EXPECT_TRUE(same_bits(all_values(*model), all_values(*other)));
}

TEST(LearningRate, WarmsUpThenFollowsItsShape) {
  OptimizerConfig config;
  config.learning_rate = 2.0;
  config.min_lr_rate = 0.1;
  config.warmup_steps = 4;
  for (const LrScheduler scheduler :
       {LrScheduler::kConstant, LrScheduler::kLinear, LrScheduler::kCosine}) {
    config.lr_scheduler_type = scheduler;
    for (int step = 0; step < 4; ++step) {
      EXPECT_DOUBLE_EQ(learning_rate_at(config, step, 24), 0.5 * (step + 1)) << step;
    }
    EXPECT_DOUBLE_EQ(learning_rate_at(config, 4, 24), 2.0);
  }
  const auto at = [&](LrScheduler scheduler, std::int64_t step) {
    config.lr_scheduler_type = scheduler;
    return learning_rate_at(config, step, 24);
  };
  EXPECT_DOUBLE_EQ(at(LrScheduler::kConstant, 20), 2.0);
  EXPECT_DOUBLE_EQ(at(LrScheduler::kLinear, 14), 0.5 * (2.0 + 0.2));
  EXPECT_DOUBLE_EQ(at(LrScheduler::kCosine, 14), 0.5 * (2.0 + 0.2));
  EXPECT_DOUBLE_EQ(at(LrScheduler::kCosine, 9), 0.2 + 1.8 * 0.5 * (1.0 + std::cos(M_PI * 0.25)));
  for (const LrScheduler scheduler : {LrScheduler::kLinear, LrScheduler::kCosine}) {
    EXPECT_NEAR(at(scheduler, 24), 0.2, 1e-12);
    EXPECT_NEAR(at(scheduler, 1000), 0.2, 1e-12) << "past the end";
    for (std::int64_t step = 4; step < 24; ++step) {
      EXPECT_GT(at(scheduler, step), at(scheduler, step + 1)) << step;
    }
  }
}

TEST(LearningRate, WithoutWarmUpBeginsAtThePeak) {
  OptimizerConfig config;
  config.learning_rate = 1.0;
  config.warmup_steps = 0;
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 0, 10), 1.0);
  // A warm-up as long as the run or longer divides by nothing.
  config.warmup_steps = 10;
  EXPECT_TRUE(std::isfinite(learning_rate_at(config, 10, 10)));
  EXPECT_TRUE(std::isfinite(learning_rate_at(config, 15, 10)));
}

}  // namespace
}  // namespace r1::train
