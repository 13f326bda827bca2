#include "model/layers.h"

namespace r1 {
namespace {

std::string layer_prefix(std::int64_t layer) { return fmt::format("model.layers.{}.", layer); }

std::variant<DenseFeedForward, MixtureOfExperts> make_feed_forward(const ModelConfig& config,
                                                                   std::int64_t layer, bool moe) {
  const std::string prefix = layer_prefix(layer) + "mlp.";
  if (moe) return MixtureOfExperts(config, layer, prefix);
  return DenseFeedForward(config.hidden_size, config.intermediate_size, prefix);
}

std::variant<LatentAttention, GroupedQueryAttention> make_attention(const ModelConfig& config,
                                                                    std::int64_t layer) {
  const std::string prefix = layer_prefix(layer) + "self_attn.";
  if (config.has_latent_attention()) return LatentAttention(config, prefix);
  return GroupedQueryAttention(config, prefix);
}

}  // namespace

Weight make_weight(std::string name, Shape shape) {
  Weight weight;
  weight.name = std::move(name);
  weight.shape = shape;
  return weight;
}

LinearWeight make_linear(const std::string& name, std::int64_t out, std::int64_t in, bool bias) {
  LinearWeight linear;
  linear.weight = make_weight(name + ".weight", {out, in});
  if (bias) {
    linear.bias = make_weight(name + ".bias", {out});
    linear.bias.decay = false;
  }
  return linear;
}

TableWeight make_norm(std::string name, std::int64_t size) {
  TableWeight norm;
  norm.weight = make_weight(std::move(name) + ".weight", {size});
  norm.weight.decay = false;
  return norm;
}

DecoderLayer::DecoderLayer(const ModelConfig& config, std::int64_t layer, bool moe)
    : eps_(static_cast<float>(config.rms_norm_eps)),
      attention_norm_(make_norm(layer_prefix(layer) + "input_layernorm", config.hidden_size)),
      attention_(make_attention(config, layer)),
      feed_forward_norm_(
          make_norm(layer_prefix(layer) + "post_attention_layernorm", config.hidden_size)),
      feed_forward_(make_feed_forward(config, layer, moe)) {}

Tensor DecoderLayer::forward(const ForwardContext& ctx, Tensor x, const Batch& batch,
                             const KvLayer& cache, const RopeTable& table,
                             const ForwardOptions& options) {
  const Tensor attention_input = rms_norm(ctx, x, attention_norm_, eps_);
  x = add(ctx, x,
          std::visit(
              [&](auto& attention) {
                return attention.forward(ctx, attention_input, batch, cache, table);
              },
              attention_));
  if (options.wanted_rows) x = select_rows(ctx, x, *options.wanted_rows);
  const Tensor normed = rms_norm(ctx, x, feed_forward_norm_, eps_);
  if (DenseFeedForward* dense = std::get_if<DenseFeedForward>(&feed_forward_)) {
    return add(ctx, x, dense->forward(ctx, normed));
  }
  return add(ctx, x, mixture()->forward(ctx, normed, batch, options));
}

void DecoderLayer::visit(const WeightVisitor& visitor) {
  visitor(attention_norm_.weight);
  std::visit([&](auto& attention) { attention.visit(visitor); }, attention_);
  visitor(feed_forward_norm_.weight);
  std::visit([&](auto& feed_forward) { feed_forward.visit(visitor); }, feed_forward_);
}

void DecoderLayer::refresh(Backend& backend, Precision precision, bool training) {
  attention_norm_.refresh(backend, precision);
  std::visit([&](auto& attention) { attention.refresh(backend, precision, training); }, attention_);
  feed_forward_norm_.refresh(backend, precision);
  std::visit([&](auto& feed_forward) { feed_forward.refresh(backend, precision, training); },
             feed_forward_);
}

}  // namespace r1
