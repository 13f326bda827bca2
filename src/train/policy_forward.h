#pragma once

#include <span>
#include <vector>

#include "model/model.h"
#include "train/rollout.h"

namespace r1::train {

// One forward pass over sampled answers for the log-probabilities of their completions' tokens,
// with the kernels that drew them.
struct PolicyForward {
  // One per completion token, sample after sample.
  Tensor log_probs;
  // Where each sample's tokens begin in log_probs.
  std::vector<std::int64_t> offsets;
};

// `batch` is filled and must outlive the tape's backward.
PolicyForward policy_forward(const ForwardContext& ctx, Model& model,
                             std::span<const RolloutSample* const> samples, double temperature,
                             bool recompute_layers, Batch& batch);

// Log-probabilities under a model that is not trained now, [samples][tokens].
std::vector<std::vector<float>> completion_log_probs(Backend& backend, Arena& arena, Model& model,
                                                     std::span<const RolloutSample* const> samples,
                                                     double temperature,
                                                     std::int64_t micro_batch_tokens);

// Cuts samples, in order, into groups of at most max_tokens; element i is the end of group i.
std::vector<std::size_t> cut_samples(std::span<const RolloutSample* const> samples,
                                     std::int64_t max_tokens);

}  // namespace r1::train
