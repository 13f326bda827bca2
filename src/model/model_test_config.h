#pragma once

#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "model/config.h"

// For tests only: what the tests of this floor and those above share.
namespace r1::model_test {

// A model of a few thousand parameters with every part of the architecture.
inline ModelConfig tiny_config() {
  ModelConfig config;
  config.vocab_size = 61;
  config.hidden_size = 24;
  config.intermediate_size = 40;
  config.moe_intermediate_size = 16;
  config.num_hidden_layers = 3;
  config.first_k_dense_replace = 1;
  config.num_attention_heads = 2;
  config.n_routed_experts = 8;
  config.n_shared_experts = 1;
  config.num_experts_per_tok = 3;
  config.n_group = 4;
  config.topk_group = 2;
  config.routed_scaling_factor = 1.5;
  config.q_lora_rank = 20;
  config.kv_lora_rank = 16;
  config.qk_nope_head_dim = 8;
  config.qk_rope_head_dim = 6;
  config.v_head_dim = 10;
  config.rope_scaling = YarnScaling{.factor = 8.0,
                                    .original_max_position_embeddings = 32,
                                    .beta_fast = 32.0,
                                    .beta_slow = 1.0,
                                    .mscale = 1.0,
                                    .mscale_all_dim = 1.0};
  config.max_position_embeddings = 256;
  config.num_nextn_predict_layers = 1;
  config.initializer_range = 0.3;  // lively: neighbouring tokens differ in what they predict
  return config;
}

inline std::vector<std::int32_t> random_tokens(const ModelConfig& config, std::uint64_t seed,
                                               std::int64_t count) {
  Rng rng(seed);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::int32_t& token : tokens) {
    token = static_cast<std::int32_t>(rng.below(static_cast<std::uint32_t>(config.vocab_size)));
  }
  return tokens;
}

}  // namespace r1::model_test
