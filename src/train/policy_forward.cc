#include "train/policy_forward.h"

#include "engine/sampler.h"

namespace r1::train {

PolicyForward policy_forward(const ForwardContext& ctx, Model& model,
                             std::span<const RolloutSample* const> samples, double temperature,
                             bool recompute_layers, Batch& batch) {
  PolicyForward forward;
  std::vector<std::int32_t> rows, targets;
  for (const RolloutSample* sample : samples) {
    // The row of each token predicts the next one; the last token predicts nothing we need.
    const std::int64_t first = batch.rows() + sample->prompt_length - 1;
    batch.append(std::span(sample->ids).first(sample->ids.size() - 1));
    forward.offsets.push_back(std::ssize(rows));
    for (std::int64_t t = 0; t < sample->completion_length(); ++t) {
      rows.push_back(static_cast<std::int32_t>(first + t));
      targets.push_back(sample->ids[static_cast<std::size_t>(sample->prompt_length + t)]);
    }
  }
  ForwardOptions options;
  options.recompute_layers = recompute_layers;
  const Tensor states = select_rows(ctx, model.forward(ctx, batch, options), rows);
  forward.log_probs =
      token_log_probs(ctx, states, model.head(), targets,
                      temperature_inverse(static_cast<float>(temperature)), nullptr);
  return forward;
}

std::vector<std::vector<float>> completion_log_probs(Backend& backend, Arena& arena, Model& model,
                                                     std::span<const RolloutSample* const> samples,
                                                     double temperature,
                                                     std::int64_t micro_batch_tokens) {
  std::vector<std::vector<float>> result;
  const ForwardContext ctx{backend, arena, model.precision(), nullptr};
  std::size_t first = 0;
  for (const std::size_t end : cut_samples(samples, micro_batch_tokens)) {
    const ArenaScope scope(arena);
    Batch batch;
    const auto part = samples.subspan(first, end - first);
    const PolicyForward forward = policy_forward(ctx, model, part, temperature, false, batch);
    for (std::size_t i = 0; i < part.size(); ++i) {
      const float* log_probs = forward.log_probs.data + forward.offsets[i];
      result.emplace_back(log_probs, log_probs + part[i]->completion_length());
    }
    first = end;
  }
  return result;
}

std::vector<std::size_t> cut_samples(std::span<const RolloutSample* const> samples,
                                     std::int64_t max_tokens) {
  std::vector<std::int64_t> lengths;
  for (const RolloutSample* sample : samples) lengths.push_back(std::ssize(sample->ids));
  return cut_by_tokens(lengths, max_tokens);
}

}  // namespace r1::train
