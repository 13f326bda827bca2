#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

constexpr std::int64_t kRows = 6, kHidden = 21, kExperts = 12;

// The chosen experts of one token, by sorting: every rule of selection in its plainest words.
std::vector<std::size_t> choose(const RoutingConfig& config, Values selection) {
  const std::size_t group_size = size(config.experts / config.groups);
  if (config.groups > 1) {
    std::vector<std::size_t> groups(size(config.groups));
    std::iota(groups.begin(), groups.end(), 0);
    Values scores;
    for (std::size_t g : groups) {
      Values members(selection.begin() + static_cast<std::ptrdiff_t>(g * group_size),
                     selection.begin() + static_cast<std::ptrdiff_t>((g + 1) * group_size));
      std::sort(members.rbegin(), members.rend());
      scores.push_back(
          std::accumulate(members.begin(), members.begin() + config.group_score_top, 0.0));
    }
    std::stable_sort(groups.begin(), groups.end(),
                     [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    for (std::size_t i = size(config.groups_per_token); i < groups.size(); ++i) {
      for (std::size_t e = 0; e < group_size; ++e) {
        selection[groups[i] * group_size + e] = -std::numeric_limits<double>::infinity();
      }
    }
  }
  std::vector<std::size_t> order(selection.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return selection[a] > selection[b]; });
  order.resize(size(config.experts_per_token));
  return order;
}

// [weights | scores] of each token.
Values reference_routing(const RoutingConfig& config, const std::vector<float>& bias,
                         std::span<const Values> inputs, std::span<const Values> weights,
                         Precision precision) {
  // The gate multiplies in f32, of weights rounded as the model's are.
  Values gate = weights[0];
  for (double& value : gate) value = rounded(value, precision);
  const Values logits = product(inputs[0], gate.data(), kRows, kExperts, kHidden, Precision::f32);
  Values out;
  for (std::int64_t t = 0; t < kRows; ++t) {
    Values scores(logits.begin() + t * kExperts, logits.begin() + (t + 1) * kExperts);
    double sum = 0;
    for (double& score : scores) {
      score = config.score == ScoreFunction::sigmoid ? sigmoid(score) : std::exp(score);
      sum += score;
    }
    if (config.score == ScoreFunction::softmax) {
      for (double& score : scores) score /= sum;
    }
    Values selection = scores;
    for (std::size_t i = 0; i < bias.size(); ++i) selection[i] += static_cast<double>(bias[i]);
    const std::vector<std::size_t> chosen = choose(config, selection);
    double total = 0;
    for (std::size_t expert : chosen) total += scores[expert];
    for (std::size_t expert : chosen) {
      out.push_back(scores[expert] / (config.normalise ? total : 1.0) *
                    static_cast<double>(config.scale));
    }
    out.insert(out.end(), scores.begin(), scores.end());
  }
  return out;
}

OpCase route_case(const std::string& variant, const RoutingConfig& config, bool biased) {
  return {
      .op = "route",
      .variant = variant,
      .inputs = {{.shape = {kRows, kHidden}}},
      .make =
          [config, biased] {
            auto gate = std::make_shared<LinearWeight>();
            gate->weight = random_weight({kExperts, kHidden}, 1, 0.3);
            const std::vector<float> bias =
                biased ? random_floats(kExperts, 2, 0.3) : std::vector<float>();
            return Op{
                .weights = {&gate->weight},
                .refresh =
                    [gate](Backend& backend, Precision precision) {
                      gate->refresh_f32(backend, precision, true);
                    },
                .forward =
                    [gate, config, bias](const ForwardContext& ctx,
                                         std::span<const Tensor> inputs) {
                      const Routing routing = route(ctx, inputs[0], *gate,
                                                    bias.empty() ? nullptr : bias.data(), config);
                      return concat_columns(ctx, routing.weights, routing.scores);
                    },
                .reference =
                    [config, bias](std::span<const Values> inputs, std::span<const Values> weights,
                                   Precision precision) {
                      return reference_routing(config, bias, inputs, weights, precision);
                    },
            };
          },
  };
}

const Declare kSigmoid{route_case("sigmoid_groups_bias",
                                  {.score = ScoreFunction::sigmoid,
                                   .experts = kExperts,
                                   .experts_per_token = 4,
                                   .groups = 4,
                                   .groups_per_token = 2,
                                   .group_score_top = 2,
                                   .normalise = true,
                                   .scale = 2.5f},
                                  true)};
const Declare kSoftmax{route_case("softmax_greedy",
                                  {.score = ScoreFunction::softmax,
                                   .experts = kExperts,
                                   .experts_per_token = 3,
                                   .normalise = false,
                                   .scale = 1.5f},
                                  false)};
const Declare kSoftmaxNormalised{route_case("softmax_groups_normalised",
                                            {.score = ScoreFunction::softmax,
                                             .experts = kExperts,
                                             .experts_per_token = 2,
                                             .groups = 3,
                                             .groups_per_token = 1,
                                             .group_score_top = 1,
                                             .normalise = true},
                                            false)};

// A gate that hands the states through: score i is the sigmoid of x[i].
class RouteByHand : public testing::Test {
 protected:
  RouteByHand() {
    gate_.weight = random_weight({8, 8}, 1);
    for (std::int64_t i = 0; i < 64; ++i) gate_.weight.value[size(i)] = i % 9 == 0 ? 1.0f : 0.0f;
    gate_.refresh_f32(backend_, Precision::bf16, false);
  }
  Routing run(const std::vector<float>& x, const RoutingConfig& config,
              const float* bias = nullptr) {
    Tensor tensor = ctx_.make_input({static_cast<std::int64_t>(x.size()) / 8, 8});
    std::copy(x.begin(), x.end(), tensor.data);
    return route(ctx_, tensor, gate_, bias, config);
  }

  Backend backend_{2};
  Arena arena_;
  ForwardContext ctx_{backend_, arena_};
  LinearWeight gate_;
  RoutingConfig config_{.experts = 8,
                        .experts_per_token = 3,
                        .groups = 4,
                        .groups_per_token = 2,
                        .group_score_top = 2};
};

TEST_F(RouteByHand, TiesGoToTheLowerIndex) {
  const Routing routing = run(std::vector<float>(16, 0.5f), config_);
  EXPECT_EQ(routing.experts, (std::vector<std::int32_t>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(routing.load, (std::vector<std::int64_t>{2, 2, 2, 0, 0, 0, 0, 0}));
}

TEST_F(RouteByHand, ExcludedGroupsLoseEvenToNegativeScores) {
  // With a bias of -2 all biased scores are negative: a mask of zero would choose excluded experts.
  const std::vector<float> bias(8, -2.0f);
  const Routing routing = run({0, 0, 4, 4, 0, 0, 3, -9}, config_, bias.data());
  EXPECT_EQ(routing.experts, (std::vector<std::int32_t>{2, 3, 0}));
  const float sum = routing.scores.data[2] + routing.scores.data[3] + routing.scores.data[0];
  EXPECT_FLOAT_EQ(routing.weights.data[0], routing.scores.data[2] / sum);
}

TEST_F(RouteByHand, NanAndInfinityStillChooseDistinctExperts) {
  const float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> endless = {infinity, -infinity, 0, 0, 0, 0, infinity, 0};
  for (const std::vector<float>& bias : {std::vector<float>(8, 0.0f), endless}) {
    const Routing routing = run(
        {nan, nan, nan, nan, nan, nan, nan, nan, 0, nan, 1, 2, nan, 0, 0, 0}, config_, bias.data());
    for (std::size_t t = 0; t < 2; ++t) {
      std::vector<std::int32_t> chosen(
          routing.experts.begin() + static_cast<std::ptrdiff_t>(3 * t),
          routing.experts.begin() + static_cast<std::ptrdiff_t>(3 * t + 3));
      std::sort(chosen.begin(), chosen.end());
      EXPECT_EQ(std::unique(chosen.begin(), chosen.end()), chosen.end());
      EXPECT_GE(chosen.front(), 0);
      EXPECT_LT(chosen.back(), 8);
    }
  }
  // A NaN state poisons its token's logits through the zeros of the gate, but no other token's.
  const Routing routing = run({nan, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, config_);
  EXPECT_EQ(routing.experts[3], 7);
}

TEST_F(RouteByHand, ATokenAloneIsRoutedAsInABatch) {
  const std::vector<float> x = random_floats(8 * 40, 3);
  const Routing batch = run(x, config_);
  for (std::int64_t t = 0; t < 40; ++t) {
    const Routing alone = run({x.begin() + t * 8, x.begin() + t * 8 + 8}, config_);
    EXPECT_TRUE(
        std::equal(alone.experts.begin(), alone.experts.end(), batch.experts.begin() + t * 3));
    EXPECT_EQ(std::memcmp(alone.weights.data, batch.weights.row(t), 3 * sizeof(float)), 0);
  }
}

}  // namespace
}  // namespace r1::gradient_check
