#include "train/benchmark_work.h"

namespace r1::train {
namespace {

std::int64_t projection_macs(const ModelConfig& c) {
  const std::int64_t heads = c.num_attention_heads;
  const std::int64_t query = heads * (c.qk_nope_head_dim + c.qk_rope_head_dim);
  const std::int64_t queries =
      c.q_lora_rank > 0 ? c.q_lora_rank * (c.hidden_size + query) : c.hidden_size * query;
  const std::int64_t latent = c.hidden_size * c.kv_row_size();
  const std::int64_t absorbed = heads * c.kv_lora_rank * (c.qk_nope_head_dim + c.v_head_dim);
  return queries + latent + absorbed + heads * c.v_head_dim * c.hidden_size;
}

std::int64_t feed_forward_macs(const ModelConfig& c, bool moe) {
  if (!moe) return 3 * c.hidden_size * c.intermediate_size;
  const std::int64_t experts = c.num_experts_per_tok + c.n_shared_experts;
  return c.hidden_size * c.n_routed_experts + 3 * c.hidden_size * c.moe_intermediate_size * experts;
}

}  // namespace

std::int64_t layer_macs(const ModelConfig& config) {
  std::int64_t macs = 0;
  for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    macs += projection_macs(config) + feed_forward_macs(config, config.is_moe_layer(layer));
  }
  return macs;
}

std::int64_t prediction_macs(const ModelConfig& config) {
  const std::int64_t joined = 2 * config.hidden_size * config.hidden_size;
  const bool moe = config.n_routed_experts > 0;
  return config.num_nextn_predict_layers *
         (joined + projection_macs(config) + feed_forward_macs(config, moe));
}

std::int64_t head_macs(const ModelConfig& config) { return config.hidden_size * config.vocab_size; }

std::int64_t attention_macs(const ModelConfig& config) {
  return config.num_attention_heads * (config.kv_row_size() + config.kv_lora_rank);
}

std::int64_t visible_keys(std::int64_t start, std::int64_t rows) {
  return rows * start + rows * (rows + 1) / 2;
}

}  // namespace r1::train
