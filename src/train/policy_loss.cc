#include "train/policy_loss.h"

#include <algorithm>
#include <cmath>

namespace r1::train {
namespace {

// Bounds on the log ratio to the reference: beyond, e^d would swamp or overflow the update.
constexpr float kMaxLogRatio = 20.0f;

// The kernels' exp, not libm's, so that the update has the same bits on every machine.
std::vector<float> exp_of_differences(Backend& backend, std::span<const float> a,
                                      std::span<const float> b) {
  std::vector<float> result(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    result[i] = std::clamp(a[i] - b[i], -kMaxLogRatio, kMaxLogRatio);
  }
  backend.parallel_for(1, [&](std::int64_t) {
    backend.kernels().vector.exp(static_cast<std::int64_t>(result.size()), result.data(),
                                 result.data());
  });
  return result;
}

}  // namespace

std::vector<double> group_advantages(std::span<const double> rewards, bool scale,
                                     Deviation deviation, double epsilon) {
  std::vector<double> advantages(rewards.size(), 0.0);
  if (std::ranges::all_of(rewards, [&](double reward) { return reward == rewards[0]; })) {
    return advantages;
  }
  const double count = static_cast<double>(rewards.size());
  double mean = 0.0;
  for (const double reward : rewards) mean += reward;
  mean /= count;
  double squares = 0.0;
  for (const double reward : rewards) squares += (reward - mean) * (reward - mean);
  const double divisor = deviation == Deviation::kSample ? count - 1.0 : count;
  const double std = std::sqrt(squares / divisor);
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    advantages[i] = scale ? (rewards[i] - mean) / (std + epsilon) : rewards[i] - mean;
  }
  return advantages;
}

double token_weight(LossType type, std::int64_t completion_tokens, std::int64_t completions,
                    std::int64_t all_tokens, std::int64_t max_completion_length) {
  switch (type) {
    case LossType::kGrpo:
      return 1.0 / (static_cast<double>(completions) * static_cast<double>(completion_tokens));
    case LossType::kTokenMean:
      return 1.0 / static_cast<double>(all_tokens);
    case LossType::kDrGrpo:
      return 1.0 / (static_cast<double>(completions) * static_cast<double>(max_completion_length));
  }
  R1_CHECK(false, "loss type {}", static_cast<int>(type));
}

void policy_loss(Backend& backend, const PolicyLossConfig& config, const PolicyTokens& tokens,
                 std::span<float> gradient, PolicyLossTotals& totals) {
  const std::size_t count = tokens.log_probs.size();
  R1_CHECK(tokens.old.size() == count && gradient.size() == count, "{} tokens, {} old", count,
           tokens.old.size());
  const bool with_kl = config.beta > 0.0;
  R1_CHECK(!with_kl || tokens.reference.size() == count, "{} tokens, {} reference", count,
           tokens.reference.size());
  const std::vector<float> ratios = exp_of_differences(backend, tokens.log_probs, tokens.old);
  const std::vector<float> inverse_kl_ratios =
      with_kl ? exp_of_differences(backend, tokens.reference, tokens.log_probs)
              : std::vector<float>{};

  const double a = tokens.advantage;
  for (std::size_t t = 0; t < count; ++t) {
    const double ratio = ratios[t];
    const double clipped = std::clamp(ratio, 1.0 - config.epsilon_low, 1.0 + config.epsilon_high);
    const bool too_high = a > 0.0 && ratio > 1.0 + config.epsilon_high;
    const bool too_low = a < 0.0 && ratio < 1.0 - config.epsilon_low;
    double loss = -std::min(ratio * a, clipped * a);
    double slope = too_high || too_low ? 0.0 : -ratio * a;
    if (with_kl) {
      const double d =
          std::clamp(tokens.reference[t] - tokens.log_probs[t], -kMaxLogRatio, kMaxLogRatio);
      const double exp_d = inverse_kl_ratios[t];
      const double k3 = exp_d - d - 1.0;
      loss += config.beta * k3;
      slope += config.beta * (1.0 - exp_d);
      totals.kl += k3;
    }
    gradient[t] = static_cast<float>(slope * tokens.token_weight);
    totals.loss += loss * tokens.token_weight;
    totals.clipped_high += too_high ? 1 : 0;
    totals.clipped_low += too_low ? 1 : 0;
    totals.largest_ratio = totals.tokens == 0 ? ratio : std::max(totals.largest_ratio, ratio);
    totals.smallest_ratio = totals.tokens == 0 ? ratio : std::min(totals.smallest_ratio, ratio);
    ++totals.tokens;
  }
}

}  // namespace r1::train
