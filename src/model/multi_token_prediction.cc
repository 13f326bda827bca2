#include "model/layers.h"

namespace r1 {
namespace {

std::string module_prefix(std::int64_t layer) { return fmt::format("model.layers.{}.", layer); }

}  // namespace

MultiTokenPrediction::MultiTokenPrediction(const ModelConfig& config, std::int64_t layer)
    : eps_(static_cast<float>(config.rms_norm_eps)),
      embedding_norm_(make_norm(module_prefix(layer) + "enorm", config.hidden_size)),
      hidden_norm_(make_norm(module_prefix(layer) + "hnorm", config.hidden_size)),
      projection_(make_linear(module_prefix(layer) + "eh_proj", config.hidden_size,
                              2 * config.hidden_size)),
      layer_(config, layer, config.n_routed_experts > 0),
      final_norm_(make_norm(module_prefix(layer) + "shared_head.norm", config.hidden_size)) {}

MultiTokenPrediction::States MultiTokenPrediction::forward(const ForwardContext& ctx,
                                                           const Tensor& states,
                                                           const Tensor& next_embeddings,
                                                           const Batch& batch, const KvLayer& cache,
                                                           const RopeTable& table,
                                                           const ForwardOptions& options) {
  const Tensor joined = concat_columns(ctx, rms_norm(ctx, next_embeddings, embedding_norm_, eps_),
                                       rms_norm(ctx, states, hidden_norm_, eps_));
  const Tensor residual =
      layer_.forward(ctx, linear(ctx, joined, projection_), batch, cache, table, options);
  return {residual, rms_norm(ctx, residual, final_norm_, eps_)};
}

void MultiTokenPrediction::visit(const WeightVisitor& visitor) {
  visitor(embedding_norm_.weight);
  visitor(hidden_norm_.weight);
  visitor(projection_.weight);
  layer_.visit(visitor);
  visitor(final_norm_.weight);
}

void MultiTokenPrediction::refresh(Backend& backend, Precision precision, bool training) {
  embedding_norm_.refresh(backend, precision);
  hidden_norm_.refresh(backend, precision);
  projection_.refresh(backend, precision, training);
  layer_.refresh(backend, precision, training);
  final_norm_.refresh(backend, precision);
}

}  // namespace r1
