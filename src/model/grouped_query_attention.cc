#include "model/layers.h"

namespace r1 {

GroupedQueryAttention::GroupedQueryAttention(const ModelConfig& config, const std::string& prefix)
    : heads_(config.num_attention_heads),
      kv_heads_(config.num_key_value_heads),
      head_dim_(config.head_dim),
      scale_(config.softmax_scale()),
      eps_(static_cast<float>(config.rms_norm_eps)),
      query_(make_linear(prefix + "q_proj", heads_ * head_dim_, config.hidden_size,
                         config.attention_bias)),
      key_(make_linear(prefix + "k_proj", kv_heads_ * head_dim_, config.hidden_size,
                       config.attention_bias)),
      value_(make_linear(prefix + "v_proj", kv_heads_ * head_dim_, config.hidden_size,
                         config.attention_bias)),
      output_(make_linear(prefix + "o_proj", config.hidden_size, heads_ * head_dim_,
                          config.attention_output_bias)) {
  if (!config.qk_norm) return;
  query_norm_ = make_norm(prefix + "q_norm", head_dim_);
  key_norm_ = make_norm(prefix + "k_norm", head_dim_);
}

Tensor GroupedQueryAttention::heads_of(const ForwardContext& ctx, const Tensor& x,
                                       LinearWeight& projection, std::optional<TableWeight>& norm,
                                       std::int64_t heads, const Batch& batch,
                                       const RopeTable& table) const {
  const std::int64_t tokens = x.rows();
  Tensor projected = linear(ctx, x, projection);
  if (norm) {
    projected = rms_norm(ctx, reshape(projected, {tokens * heads, head_dim_}), *norm, eps_);
  }
  return rope(ctx, reshape(projected, {tokens, heads, head_dim_}), table, batch.positions);
}

Tensor GroupedQueryAttention::forward(const ForwardContext& ctx, const Tensor& x,
                                      const Batch& batch, const KvLayer& cache,
                                      const RopeTable& table) {
  const std::int64_t tokens = x.rows();
  const Tensor q = heads_of(ctx, x, query_, query_norm_, heads_, batch, table);
  const Tensor k = heads_of(ctx, x, key_, key_norm_, kv_heads_, batch, table);
  const Tensor v = reshape(linear(ctx, x, value_), {tokens, kv_heads_, head_dim_});
  const Tensor attended = grouped_attention(ctx, q, k, v, batch.spans, cache, scale_);
  return linear(ctx, reshape(attended, {tokens, heads_ * head_dim_}), output_);
}

void GroupedQueryAttention::visit(const WeightVisitor& visitor) {
  for (LinearWeight* linear : {&query_, &key_, &value_, &output_}) {
    visitor(linear->weight);
    if (linear->has_bias()) visitor(linear->bias);
  }
  if (!query_norm_) return;
  visitor(query_norm_->weight);
  visitor(key_norm_->weight);
}

void GroupedQueryAttention::refresh(Backend& backend, Precision precision, bool training) {
  for (LinearWeight* linear : {&query_, &key_, &value_, &output_}) {
    linear->refresh(backend, precision, training);
  }
  if (!query_norm_) return;
  query_norm_->refresh(backend, precision);
  key_norm_->refresh(backend, precision);
}

}  // namespace r1
