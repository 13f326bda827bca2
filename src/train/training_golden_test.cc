// Whole updates (forward, loss, backward, clipping, AdamW) against six supervised and four GRPO
// steps that PyTorch made from the official model.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "train/language_model_loss.h"
#include "train/optimizer.h"
#include "train/policy_forward.h"
#include "train/policy_loss.h"

namespace r1::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The README's advice for these vectors, relative.
constexpr double kTolerance = 1e-4;

fs::path golden_directory() {
  const char* directory = std::getenv("R1_GOLDEN_DIR");
  return directory != nullptr ? directory : "../shared/golden";
}

// Of a DeepSeek model and a dense one.
std::vector<json> runs_of(const std::string& kind) {
  const fs::path path = golden_directory() / "vectors" / "training.json";
  if (!fs::exists(path)) return {};
  return json::parse(std::ifstream(path)).at(kind).get<std::vector<json>>();
}

OptimizerConfig optimizer_config(const json& run) {
  OptimizerConfig config;
  config.adam_beta1 = run["optimizer"]["betas"][0];
  config.adam_beta2 = run["optimizer"]["betas"][1];
  config.adam_epsilon = run["optimizer"]["eps"];
  config.weight_decay = run["optimizer"]["weight_decay"];
  config.max_grad_norm = run["clip_grad_norm"];
  return config;
}

std::unique_ptr<Model> load(Backend& backend, const json& run) {
  auto model = Model::load(backend, golden_directory() / run["fixture"].get<std::string>(),
                           r1::Precision::f32, true);
  // The reference decays every parameter.
  model->visit_weights([](Weight& weight) { weight.decay = weight.trainable; });
  return model;
}

void expect_relative(double found, double wanted, const std::string& what) {
  EXPECT_NEAR(found, wanted, kTolerance * std::max(1.0, std::abs(wanted))) << what;
}

class TrainingGolden : public testing::TestWithParam<Isa> {
 protected:
  Backend backend_{2, GetParam()};
  Arena arena_;
};

TEST_P(TrainingGolden, SupervisedStepsFollowTheReference) {
  const std::vector<json> runs = runs_of("sft");
  if (runs.empty()) GTEST_SKIP() << "no vectors in " << golden_directory();
  for (const json& run : runs) {
    SCOPED_TRACE(run["fixture"].get<std::string>());
    const auto model = load(backend_, run);
    Optimizer optimizer(*model, optimizer_config(run));
    for (std::size_t step = 0; step < run["steps"].get<std::size_t>(); ++step) {
      const auto ids = run["batches"][step % 2].get<std::vector<Sequence>>();
      const auto labels = run["labels"][step % 2].get<std::vector<Sequence>>();
      Batch batch;
      std::vector<std::int32_t> targets;
      for (std::size_t row = 0; row < ids.size(); ++row) {
        batch.append(ids[row]);
        targets.insert(targets.end(), labels[row].begin() + 1, labels[row].end());
        targets.push_back(kIgnoredLabel);
      }
      const auto used =
          std::ranges::count_if(targets, [](std::int32_t id) { return id != kIgnoredLabel; });
      const ArenaScope scope(arena_);
      Tape tape(arena_);
      const ForwardContext ctx{backend_, arena_, r1::Precision::f32, &tape};
      const Tensor log_probs =
          token_log_probs(ctx, model->forward(ctx, batch), model->head(), targets, 1.0f, nullptr);
      const std::vector<float> weights(targets.size(), -1.0f / static_cast<float>(used));
      const Tensor loss = weighted_sum(ctx, log_probs, weights);
      *tape.gradient(loss) = 1.0f;
      tape.backward();
      expect_relative(*loss.data, run["losses"][step], fmt::format("loss of step {}", step));
      expect_relative(optimizer.step(backend_, run["optimizer"]["lr"]),
                      run["grad_norms_before_clipping"][step],
                      fmt::format("gradient norm of step {}", step));
    }
  }
}

TEST_P(TrainingGolden, PolicyStepsFollowTheReference) {
  const std::vector<json> runs = runs_of("grpo");
  if (runs.empty()) GTEST_SKIP() << "no vectors in " << golden_directory();
  for (const json& run : runs) {
    SCOPED_TRACE(run["fixture"].get<std::string>());
    const auto model = load(backend_, run);
    Optimizer optimizer(*model, optimizer_config(run));
    const auto prompt = run["prompt"].get<Sequence>();
    std::vector<RolloutSample> samples;
    for (std::size_t i = 0; i < run["completions"].size(); ++i) {
      RolloutSample sample;
      sample.ids = prompt;
      sample.prompt_length = std::ssize(prompt);
      const auto completion = run["completions"][i].get<Sequence>();
      sample.ids.insert(sample.ids.end(), completion.begin(), completion.end());
      sample.log_probs = run["old_logp"][i].get<std::vector<float>>();
      sample.advantage = run["advantages"][i];
      samples.push_back(std::move(sample));
    }
    std::vector<const RolloutSample*> pointers;
    for (const RolloutSample& sample : samples) pointers.push_back(&sample);
    const std::int64_t completions = std::ssize(samples);

    const auto first = completion_log_probs(backend_, arena_, *model, pointers, 1.0, 1024);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      for (std::size_t t = 0; t < first[i].size(); ++t) {
        EXPECT_NEAR(first[i][t], samples[i].log_probs[t], 2e-4) << i << " " << t;
      }
    }
    for (std::size_t step = 0; step < run["steps"].size(); ++step) {
      const json& wanted = run["steps"][step];
      const ArenaScope scope(arena_);
      Tape tape(arena_);
      const ForwardContext ctx{backend_, arena_, r1::Precision::f32, &tape};
      Batch batch;
      const PolicyForward forward = policy_forward(ctx, *model, pointers, 1.0, false, batch);
      float* gradient = tape.gradient(forward.log_probs);
      PolicyLossTotals totals;
      double kl = 0.0;
      std::int64_t tokens = 0;
      for (std::size_t i = 0; i < samples.size(); ++i) {
        const std::size_t length = samples[i].log_probs.size();
        const PolicyTokens part{
            {forward.log_probs.data + forward.offsets[i], length},
            samples[i].log_probs,
            samples[i].log_probs,
            samples[i].advantage,
            token_weight(LossType::kGrpo, static_cast<std::int64_t>(length), completions, 0, 0)};
        policy_loss(backend_, {run["clip"], run["clip"], run["beta"]}, part,
                    {gradient + forward.offsets[i], length}, totals);
        tokens += static_cast<std::int64_t>(length);
      }
      kl = totals.kl / static_cast<double>(tokens);
      tape.backward();
      const std::string what = fmt::format("step {}", step);
      expect_relative(totals.loss, wanted["loss"], what + " loss");
      expect_relative(kl, wanted["mean_kl"], what + " kl");
      EXPECT_NEAR(totals.largest_ratio, wanted["max_ratio"].get<double>(), 1e-3) << what;
      EXPECT_NEAR(totals.smallest_ratio, wanted["min_ratio"].get<double>(), 1e-3) << what;
      expect_relative(optimizer.step(backend_, run["optimizer"]["lr"]), wanted["grad_norm"],
                      what + " gradient norm");
    }
    const auto last = completion_log_probs(backend_, arena_, *model, pointers, 1.0, 1024);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const auto wanted = run["final_logp"][i].get<std::vector<float>>();
      for (std::size_t t = 0; t < wanted.size(); ++t) {
        EXPECT_NEAR(last[i][t], wanted[t], 2e-3) << i << " " << t;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, TrainingGolden, testing::ValuesIn(supported_isas()),
                         [](const auto& set) { return std::string(name_of(set.param)); });

}  // namespace
}  // namespace r1::train
