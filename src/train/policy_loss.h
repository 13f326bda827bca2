#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "train/recipe.h"

// Group relative policy optimisation (DeepSeekMath, arXiv:2402.03300; DeepSeek-R1, section 2.2.1).
namespace r1::train {

// A_i = (r_i - mean) / (std + epsilon), or r_i - mean without scaling; rewards that are all equal
// give zeros.
enum class Deviation { kPopulation, kSample };
std::vector<double> group_advantages(std::span<const double> rewards, bool scale,
                                     Deviation deviation = Deviation::kSample,
                                     double epsilon = 1e-4);

struct PolicyLossConfig {
  double epsilon_low = 0.2, epsilon_high = 0.2;
  double beta = 0.0;  // of the k3 KL estimate to the reference
};

// One completion's tokens.
struct PolicyTokens {
  std::span<const float> log_probs;  // under the weights being trained
  std::span<const float> old;        // when it was sampled
  std::span<const float> reference;  // empty if beta is 0
  double advantage = 0.0;
  double token_weight = 0.0;  // share of each token in the mean, see token_weight()
};

struct PolicyLossTotals {
  double loss = 0.0;  // weighted: the update's loss once all its completions were added
  double kl = 0.0;    // sum over tokens of the k3 estimate
  std::int64_t tokens = 0;
  std::int64_t clipped_low = 0, clipped_high = 0;
  double largest_ratio = 0.0, smallest_ratio = 0.0;  // set by the first token
};

// The weight of a token so that a sum over all completions of an update is the named mean.
double token_weight(LossType type, std::int64_t completion_tokens, std::int64_t completions,
                    std::int64_t all_tokens, std::int64_t max_completion_length);

// loss = -min(rho A, clip(rho, 1 - low, 1 + high) A) + beta (e^d - d - 1), rho = e^(new - old),
// d = reference - new, each token times its weight. Writes d loss / d log_prob and adds to totals.
void policy_loss(Backend& backend, const PolicyLossConfig& config, const PolicyTokens& tokens,
                 std::span<float> gradient, PolicyLossTotals& totals);

}  // namespace r1::train
