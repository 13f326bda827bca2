#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ops/ops.h"

namespace r1 {

// YaRN context extension (Peng et al. 2023). DeepSeek scales the softmax by mscale squared, the
// dense families the rotated vectors by attention_factor.
struct YarnScaling {
  double factor = 1.0;
  std::int64_t original_max_position_embeddings = 4096;
  double beta_fast = 32.0, beta_slow = 1.0;
  double mscale = 1.0, mscale_all_dim = 0.0;
  double attention_factor = 1.0;
  bool operator==(const YarnScaling&) const = default;
};

// The scaling of Llama 3.1 to 3.3: long waves are stretched by `factor`, short ones kept, those
// between blended.
struct Llama3Scaling {
  double factor = 1.0;
  double low_freq_factor = 1.0, high_freq_factor = 4.0;
  std::int64_t original_max_position_embeddings = 8192;
  bool operator==(const Llama3Scaling&) const = default;
};

using RopeScaling = std::variant<std::monostate, YarnScaling, Llama3Scaling>;

// The shape of a transformer, under the field names of Hugging Face's config.json: DeepSeek-V2/V3
// (latent attention, experts), and the dense Qwen2, Qwen3 and Llama (grouped queries).
struct ModelConfig {
  std::string model_type = "deepseek_v3";  // or deepseek_v2, qwen2, qwen3, llama
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;      // of the dense feed-forward layers
  std::int64_t moe_intermediate_size = 0;  // of one expert
  std::int64_t num_hidden_layers = 0;
  std::int64_t first_k_dense_replace = 0;  // leading layers with a dense feed-forward
  std::int64_t moe_layer_freq = 1;
  std::int64_t num_attention_heads = 0;

  std::int64_t n_routed_experts = 0;  // 0: every layer is dense
  std::int64_t n_shared_experts = 0;
  std::int64_t num_experts_per_tok = 0;
  std::int64_t n_group = 1, topk_group = 1;
  std::string scoring_func = "sigmoid";
  std::string topk_method = "noaux_tc";
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1.0;

  // Latent attention: kv_lora_rank > 0.
  std::int64_t q_lora_rank = 0;  // 0: queries are not compressed (null in the file)
  std::int64_t kv_lora_rank = 0;
  std::int64_t qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;

  // Grouped queries: kv_lora_rank == 0.
  std::int64_t num_key_value_heads = 0, head_dim = 0;
  bool attention_bias = false;         // on queries, keys and values
  bool attention_output_bias = false;  // on the output projection too
  bool qk_norm = false;                // each head's query and key pass an RMSNorm (Qwen3)

  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;
  std::int64_t num_nextn_predict_layers = 0;  // multi-token-prediction modules
  double initializer_range = 0.02;
  std::int64_t bos_token_id = 0, eos_token_id = 1;
  std::string torch_dtype = "bfloat16";

  bool is_moe_layer(std::int64_t layer) const {
    return n_routed_experts > 0 && layer >= first_k_dense_replace && layer % moe_layer_freq == 0;
  }
  bool has_routing_bias() const { return topk_method == "noaux_tc"; }
  RoutingConfig routing() const;
  bool has_latent_attention() const { return kv_lora_rank > 0; }
  // Numbers of a head's query and key that are rotated.
  std::int64_t rope_dim() const { return has_latent_attention() ? qk_rope_head_dim : head_dim; }
  // 1 / sqrt(qk head dim), for DeepSeek times YaRN's mscale squared.
  float softmax_scale() const;
  // Numbers cached per token and layer.
  std::int64_t kv_row_size() const {
    return has_latent_attention() ? kv_lora_rank + qk_rope_head_dim
                                  : 2 * num_key_value_heads * head_dim;
  }
  Precision precision() const {
    return torch_dtype == "float32" ? Precision::f32 : Precision::bf16;
  }
  bool operator==(const ModelConfig&) const = default;
};

// Reads config.json; `where` stands for the file in errors. Throws Error for an unknown
// architecture, a missing or mistyped field, or sizes that no machine could hold.
ModelConfig parse_config(std::string_view json, std::string_view where);
// As Hugging Face would write it; parse_config gives the same config back.
std::string write_config(const ModelConfig& config);
// Throws Error when fields contradict one another (more experts per token than experts, ...).
void check_config(const ModelConfig& config, std::string_view where);

// Numbers in all weights, and those that one token passes through (embedding and head counted
// once each). The multi-token-prediction modules count apart.
struct ParameterCount {
  std::int64_t total = 0, active = 0, multi_token_prediction = 0;
};
ParameterCount count_parameters(const ModelConfig& config);

}  // namespace r1
