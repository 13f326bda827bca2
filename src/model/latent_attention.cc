#include "model/layers.h"

namespace r1 {
namespace {

// The norms on MLA's bottlenecks keep this epsilon whatever the config says of the others.
constexpr float kBottleneckEps = 1e-6f;

}  // namespace

LatentAttention::LatentAttention(const ModelConfig& config, const std::string& prefix)
    : heads_(config.num_attention_heads),
      nope_dim_(config.qk_nope_head_dim),
      rope_dim_(config.qk_rope_head_dim),
      value_dim_(config.v_head_dim),
      latent_(config.kv_lora_rank),
      scale_(config.softmax_scale()) {
  const std::int64_t query_size = heads_ * (nope_dim_ + rope_dim_);
  if (config.q_lora_rank > 0) {
    query_down_ = make_linear(prefix + "q_a_proj", config.q_lora_rank, config.hidden_size);
    query_norm_ = make_norm(prefix + "q_a_layernorm", config.q_lora_rank);
    query_up_ = make_linear(prefix + "q_b_proj", query_size, config.q_lora_rank);
  } else {
    query_up_ = make_linear(prefix + "q_proj", query_size, config.hidden_size);
  }
  latent_down_ =
      make_linear(prefix + "kv_a_proj_with_mqa", latent_ + rope_dim_, config.hidden_size);
  latent_norm_ = make_norm(prefix + "kv_a_layernorm", latent_);
  latent_up_.weight =
      make_weight(prefix + "kv_b_proj.weight", {heads_ * (nope_dim_ + value_dim_), latent_});
  latent_up_.heads = heads_;
  latent_up_.key_dim = nope_dim_;
  latent_up_.value_dim = value_dim_;
  output_ = make_linear(prefix + "o_proj", config.hidden_size, heads_ * value_dim_);
}

Tensor LatentAttention::forward(const ForwardContext& ctx, const Tensor& x, const Batch& batch,
                                const KvLayer& cache, const RopeTable& table) {
  const std::int64_t tokens = x.rows();

  Tensor q = x;
  if (query_down_) {
    q = rms_norm(ctx, linear(ctx, x, *query_down_), *query_norm_, kBottleneckEps);
  }
  q = reshape(linear(ctx, q, query_up_), {tokens, heads_, nope_dim_ + rope_dim_});
  q = latent_queries(ctx, q, latent_up_, table, batch.positions);

  const Tensor down = linear(ctx, x, latent_down_);
  const Tensor latent =
      rms_norm(ctx, slice_columns(ctx, down, 0, latent_), latent_norm_, kBottleneckEps);
  const Tensor key_rope =
      rope(ctx, reshape(slice_columns(ctx, down, latent_, rope_dim_), {tokens, 1, rope_dim_}),
           table, batch.positions);

  const Tensor attended = latent_attention(ctx, q, latent, reshape(key_rope, {tokens, rope_dim_}),
                                           batch.spans, cache, scale_);
  const Tensor values = latent_values(ctx, attended, latent_up_);
  return linear(ctx, reshape(values, {tokens, heads_ * value_dim_}), output_);
}

void LatentAttention::visit(const WeightVisitor& visitor) {
  if (query_down_) {
    visitor(query_down_->weight);
    visitor(query_norm_->weight);
  }
  visitor(query_up_.weight);
  visitor(latent_down_.weight);
  visitor(latent_norm_.weight);
  visitor(latent_up_.weight);
  visitor(output_.weight);
}

void LatentAttention::refresh(Backend& backend, Precision precision, bool training) {
  if (query_down_) {
    query_down_->refresh(backend, precision, training);
    query_norm_->refresh(backend, precision);
  }
  query_up_.refresh(backend, precision, training);
  latent_down_.refresh(backend, precision, training);
  latent_norm_.refresh(backend, precision);
  latent_up_.refresh(backend, precision, training);
  output_.refresh(backend, precision, training);
}

}  // namespace r1
