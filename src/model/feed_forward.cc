#include "model/layers.h"

namespace r1 {
namespace {

ExpertWeight make_expert(const std::string& prefix, std::int64_t hidden,
                         std::int64_t intermediate) {
  return {make_linear(prefix + "gate_proj", intermediate, hidden),
          make_linear(prefix + "up_proj", intermediate, hidden),
          make_linear(prefix + "down_proj", hidden, intermediate)};
}

void visit_expert(ExpertWeight& expert, const WeightVisitor& visitor) {
  visitor(expert.gate.weight);
  visitor(expert.up.weight);
  visitor(expert.down.weight);
}

void refresh_expert(ExpertWeight& expert, Backend& backend, Precision precision, bool training) {
  expert.gate.refresh(backend, precision, training);
  expert.up.refresh(backend, precision, training);
  expert.down.refresh(backend, precision, training);
}

}  // namespace

bool is_routed_expert(std::string_view name) {
  return name.find(".mlp.experts.") != std::string_view::npos;
}

DenseFeedForward::DenseFeedForward(std::int64_t hidden, std::int64_t intermediate,
                                   const std::string& prefix)
    : weights_(make_expert(prefix, hidden, intermediate)) {}

Tensor DenseFeedForward::forward(const ForwardContext& ctx, const Tensor& x) {
  return linear(ctx, swiglu(ctx, linear(ctx, x, weights_.gate), linear(ctx, x, weights_.up)),
                weights_.down);
}

void DenseFeedForward::visit(const WeightVisitor& visitor) { visit_expert(weights_, visitor); }

void DenseFeedForward::refresh(Backend& backend, Precision precision, bool training) {
  refresh_expert(weights_, backend, precision, training);
}

MixtureOfExperts::MixtureOfExperts(const ModelConfig& config, std::int64_t layer,
                                   const std::string& prefix)
    : routing_(config.routing()),
      layer_(layer),
      gate_(make_linear(prefix + "gate", config.n_routed_experts, config.hidden_size)) {
  if (config.has_routing_bias()) {
    routing_bias_ = make_weight(prefix + "gate.e_score_correction_bias", {config.n_routed_experts});
    routing_bias_->trainable = false;
    routing_bias_->decay = false;
  }
  for (std::int64_t expert = 0; expert < config.n_routed_experts; ++expert) {
    experts_.push_back(make_expert(fmt::format("{}experts.{}.", prefix, expert), config.hidden_size,
                                   config.moe_intermediate_size));
  }
  if (config.n_shared_experts > 0) {
    shared_.emplace(config.hidden_size, config.n_shared_experts * config.moe_intermediate_size,
                    prefix + "shared_experts.");
  }
}

float* MixtureOfExperts::routing_bias() {
  return routing_bias_ ? routing_bias_->value.data() : nullptr;
}

Tensor MixtureOfExperts::forward(const ForwardContext& ctx, const Tensor& x, const Batch& batch,
                                 const ForwardOptions& options) {
  const Routing routing = route(ctx, x, gate_, routing_bias(), routing_);
  if (ctx.tape != nullptr && options.sequence_balance_alpha > 0.0f) {
    const Tensor loss =
        sequence_balance_loss(ctx, routing, routing_, batch.spans, options.sequence_balance_alpha);
    *ctx.tape->gradient(loss) = 1.0f;
  }
  if (options.trace != nullptr) {
    const float* weights = routing.weights.data;
    options.trace->routing.push_back({layer_,
                                      routing.experts,
                                      {weights, weights + routing.weights.shape.count()},
                                      routing.load});
  }
  if (memory_ != nullptr) {
    memory_->require(ctx.backend, experts_, routing.experts);
    memory_->expect(next_->experts_);
  }
  const Tensor routed = r1::experts(ctx, x, routing, experts_);
  return shared_ ? add(ctx, routed, shared_->forward(ctx, x)) : routed;
}

void MixtureOfExperts::visit(const WeightVisitor& visitor) {
  visitor(gate_.weight);
  if (routing_bias_) visitor(*routing_bias_);
  for (ExpertWeight& expert : experts_) visit_expert(expert, visitor);
  if (shared_) shared_->visit(visitor);
}

void MixtureOfExperts::refresh(Backend& backend, Precision precision, bool training) {
  gate_.refresh_f32(backend, precision, training);
  if (memory_ == nullptr) {
    for (ExpertWeight& expert : experts_) refresh_expert(expert, backend, precision, training);
  }
  if (shared_) shared_->refresh(backend, precision, training);
}

}  // namespace r1
