#include "train/policy_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace r1::train {
namespace {

using nlohmann::json;

std::filesystem::path golden_directory() {
  const char* directory = std::getenv("R1_GOLDEN_DIR");
  return directory != nullptr ? directory : "../shared/golden";
}

std::vector<float> to_floats(const json& values) { return values.get<std::vector<float>>(); }

TEST(PolicyLoss, MatchesTheGoldenLossesAndGradients) {
  const auto path = golden_directory() / "vectors" / "grpo.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here";
  const json golden = json::parse(std::ifstream(path));
  Backend backend(1);
  const std::pair<const char*, LossType> aggregations[] = {
      {"token_ratio/sequence_mean", LossType::kGrpo},
      {"token_ratio/token_mean", LossType::kTokenMean},
      {"token_ratio/fixed_length", LossType::kDrGrpo}};
  int compared = 0;
  for (const auto& [name, group] : golden["cases"].items()) {
    const auto rewards = group["rewards"].get<std::vector<double>>();
    const std::vector<double> advantages = group_advantages(
        rewards, true, group["std_unbiased"] ? Deviation::kSample : Deviation::kPopulation,
        group["std_eps"]);
    const auto expected_advantages = group["expected"]["advantages"].get<std::vector<double>>();
    for (std::size_t i = 0; i < advantages.size(); ++i) {
      EXPECT_NEAR(advantages[i], expected_advantages[i], 1e-9) << name;
    }
    std::int64_t all_tokens = 0;
    for (const json& completion : group["logp"]) all_tokens += std::ssize(completion);
    for (const auto& [key, type] : aggregations) {
      const json& expected = group["expected"][key];
      PolicyLossTotals totals;
      for (std::size_t i = 0; i < rewards.size(); ++i) {
        const std::vector<float> current = to_floats(group["logp"][i]);
        const std::vector<float> old = to_floats(group["logp_old"][i]);
        const std::vector<float> reference = to_floats(group["logp_ref"][i]);
        std::vector<float> gradient(current.size());
        const PolicyTokens tokens{current, old, reference, advantages[i],
                                  token_weight(type, std::ssize(current), std::ssize(rewards),
                                               all_tokens, group["max_len"])};
        policy_loss(backend, {group["clip_low"], group["clip_high"], group["beta"]}, tokens,
                    gradient, totals);
        const std::vector<float> wanted = to_floats(expected["grad_logp"][i]);
        for (std::size_t t = 0; t < gradient.size(); ++t) {
          EXPECT_NEAR(gradient[t], wanted[t], 2e-6) << name << " " << key << " " << i << " " << t;
          ++compared;
        }
      }
      EXPECT_NEAR(totals.loss, expected["loss"].get<double>(), 2e-6) << name << " " << key;
      EXPECT_NEAR(static_cast<double>(totals.clipped_low + totals.clipped_high) /
                      static_cast<double>(totals.tokens),
                  expected["clip_fraction"].get<double>(), 1e-9)
          << name << " " << key;
    }
  }
  EXPECT_GT(compared, 100);
}

TEST(PolicyLoss, FreshRolloutHasRatioOneAndTheAdvantageAsSlope) {
  Backend backend(1);
  const std::vector<float> log_probs = {-0.1f, -2.5f, -7.0f};
  std::vector<float> gradient(3);
  PolicyLossTotals totals;
  policy_loss(backend, {}, {log_probs, log_probs, {}, 1.5, 0.25}, gradient, totals);
  for (const float slope : gradient) EXPECT_EQ(slope, -1.5f * 0.25f);
  EXPECT_EQ(totals.largest_ratio, 1.0);
  EXPECT_EQ(totals.smallest_ratio, 1.0);
  EXPECT_EQ(totals.clipped_low + totals.clipped_high, 0);
}

TEST(PolicyLoss, AdvantagesOfAGroupSumToZero) {
  const std::vector<double> rewards = {1.1, 0.0, 0.1, 1.1, 0.0};
  for (const bool scale : {true, false}) {
    double sum = 0.0;
    for (const double advantage : group_advantages(rewards, scale)) sum += advantage;
    EXPECT_NEAR(sum, 0.0, 1e-12);
  }
  const std::vector<double> equal = {0.1, 0.1, 0.1};
  for (const double advantage : group_advantages(equal, true)) EXPECT_EQ(advantage, 0.0);
}

TEST(PolicyLoss, StaysFiniteWhenTheReferenceIsFarAway) {
  Backend backend(1);
  const std::vector<float> log_probs = {-200.0f}, reference = {-0.01f};
  std::vector<float> gradient(1);
  PolicyLossTotals totals;
  policy_loss(backend, {0.2, 0.2, 0.1}, {log_probs, log_probs, reference, 1.0, 1.0}, gradient,
              totals);
  EXPECT_TRUE(std::isfinite(gradient[0]));
  EXPECT_TRUE(std::isfinite(totals.loss));
}

}  // namespace
}  // namespace r1::train
