#include "train/language_model_loss.h"

namespace r1::train {
namespace {

// Seeds the backward of sum(weight * -log p) and returns -sum log p.
double seed_cross_entropy(const ForwardContext& ctx, const Tensor& log_probs,
                          std::span<const std::int32_t> labels, double weight) {
  float* seeds = ctx.tape->gradient(log_probs);
  double loss = 0.0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == kIgnoredLabel) continue;
    seeds[i] = static_cast<float>(-weight);
    loss -= static_cast<double>(log_probs.data[i]);
  }
  return loss;
}

}  // namespace

UpdateLabels count_labels(const PackedBatch& packed, std::int64_t prediction_modules) {
  UpdateLabels labels;
  labels.next_token = packed.label_count(1);
  for (std::int64_t depth = 0; depth < prediction_modules; ++depth) {
    labels.further.push_back(packed.label_count(2 + depth));
  }
  labels.sequences = std::ssize(packed.batch.spans);
  return labels;
}

void add_labels(UpdateLabels& sum, const UpdateLabels& part) {
  sum.next_token += part.next_token;
  sum.further.resize(part.further.size());
  for (std::size_t i = 0; i < part.further.size(); ++i) sum.further[i] += part.further[i];
  sum.sequences += part.sequences;
}

LanguageModelLoss language_model_loss(Backend& backend, Arena& arena, Model& model,
                                      const PackedBatch& packed, const UpdateLabels& update,
                                      const LanguageModelLossConfig& config) {
  const Arena::Mark mark = arena.mark();
  Tape tape(arena, backend.observer());
  const ForwardContext ctx{backend, arena, model.precision(), &tape};
  ForwardTrace trace;
  ForwardOptions options;
  options.recompute_layers = config.recompute_layers;
  // The loss is a mean over sequences; this micro-batch holds only some of the update's.
  options.sequence_balance_alpha =
      static_cast<float>(config.seq_balance_alpha * static_cast<double>(packed.batch.spans.size()) /
                         static_cast<double>(update.sequences));
  options.trace = &trace;

  LanguageModelLoss loss;
  const Tensor states = model.forward(ctx, packed.batch, options);
  std::vector<std::int32_t> labels = packed.labels(1);
  const Tensor log_probs = token_log_probs(ctx, states, model.head(), labels, 1.0f, nullptr);
  loss.next_token =
      seed_cross_entropy(ctx, log_probs, labels, 1.0 / static_cast<double>(update.next_token));

  const std::int64_t modules = config.mtp_loss_weight > 0.0 ? model.prediction_modules() : 0;
  Tensor previous = states;
  for (std::int64_t depth = 0; depth < modules; ++depth) {
    // Past the end of a sequence there is no next token; those rows carry no label and, as
    // attention is causal, no row with a label sees them.
    std::vector<std::int32_t> next_ids = packed.labels(1 + depth);
    for (std::int32_t& id : next_ids) id = id == kIgnoredLabel ? 0 : id;
    const MultiTokenPrediction::States further =
        model.predict_further(ctx, depth, previous, next_ids, packed.batch, options);
    labels = packed.labels(2 + depth);
    const Tensor further_log_probs =
        token_log_probs(ctx, further.normed, model.head(), labels, 1.0f, nullptr);
    const std::int64_t count = update.further[static_cast<std::size_t>(depth)];
    if (count > 0) {
      const double weight =
          config.mtp_loss_weight / (static_cast<double>(modules) * static_cast<double>(count));
      loss.further += seed_cross_entropy(ctx, further_log_probs, labels, weight);
    }
    previous = further.residual;
  }
  tape.backward();
  for (ForwardTrace::LayerRouting& routing : trace.routing) {
    loss.expert_load.push_back(std::move(routing.load));
  }
  arena.reset(mark);
  return loss;
}

void update_routing_bias(Model& model, const std::vector<std::vector<std::int64_t>>& expert_load,
                         double speed) {
  const std::vector<MixtureOfExperts*> mixtures = model.mixtures();
  for (std::size_t layer = 0; layer < expert_load.size(); ++layer) {
    float* bias = mixtures[layer]->routing_bias();
    if (bias == nullptr) continue;
    const std::vector<std::int64_t>& load = expert_load[layer];
    std::int64_t total = 0;
    for (const std::int64_t tokens : load) total += tokens;
    for (std::size_t expert = 0; expert < load.size(); ++expert) {
      // Compared without a division: load / total against 1 / experts.
      const std::int64_t scaled = load[expert] * std::ssize(load);
      if (scaled > total) bias[expert] -= static_cast<float>(speed);
      if (scaled < total) bias[expert] += static_cast<float>(speed);
    }
  }
}

}  // namespace r1::train
