#include "model/published_shapes.h"

#include "base/error.h"

namespace r1 {
namespace {

ModelConfig qwen_distill(std::int64_t hidden, std::int64_t intermediate, std::int64_t heads,
                         std::int64_t kv_heads, std::int64_t vocabulary) {
  ModelConfig config;
  config.model_type = "qwen2";
  config.vocab_size = vocabulary;
  config.hidden_size = hidden;
  config.intermediate_size = intermediate;
  config.num_hidden_layers = 28;
  config.num_attention_heads = heads;
  config.num_key_value_heads = kv_heads;
  config.head_dim = 128;
  config.attention_bias = true;
  config.max_position_embeddings = 131072;
  return config;
}

ModelConfig llama_distill() {
  ModelConfig config;
  config.model_type = "llama";
  config.vocab_size = 128256;
  config.hidden_size = 4096;
  config.intermediate_size = 14336;
  config.num_hidden_layers = 32;
  config.num_attention_heads = 32;
  config.num_key_value_heads = 8;
  config.head_dim = 128;
  config.rope_theta = 500000.0;
  config.rope_scaling = Llama3Scaling{.factor = 8.0};
  config.max_position_embeddings = 131072;
  config.rms_norm_eps = 1e-5;
  return config;
}

ModelConfig deepseek_v2_lite() {
  ModelConfig config;
  config.model_type = "deepseek_v2";
  config.vocab_size = 102400;
  config.hidden_size = 2048;
  config.intermediate_size = 10944;
  config.moe_intermediate_size = 1408;
  config.num_hidden_layers = 27;
  config.first_k_dense_replace = 1;
  config.num_attention_heads = 16;
  config.n_routed_experts = 64;
  config.n_shared_experts = 2;
  config.num_experts_per_tok = 6;
  config.scoring_func = "softmax";
  config.topk_method = "greedy";
  config.norm_topk_prob = false;
  config.kv_lora_rank = 512;
  config.qk_nope_head_dim = 128;
  config.qk_rope_head_dim = 64;
  config.v_head_dim = 128;
  config.rope_scaling = YarnScaling{.factor = 40.0, .mscale = 0.707, .mscale_all_dim = 0.707};
  config.max_position_embeddings = 163840;
  return config;
}

ModelConfig r1_layer() {
  ModelConfig config;
  config.vocab_size = 512;
  config.hidden_size = 7168;
  config.intermediate_size = 18432;
  config.moe_intermediate_size = 2048;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 128;
  config.n_routed_experts = 256;
  config.n_shared_experts = 1;
  config.num_experts_per_tok = 8;
  config.n_group = 8;
  config.topk_group = 4;
  config.routed_scaling_factor = 2.5;
  config.q_lora_rank = 1536;
  config.kv_lora_rank = 512;
  config.qk_nope_head_dim = 128;
  config.qk_rope_head_dim = 64;
  config.v_head_dim = 128;
  config.rope_scaling = YarnScaling{.factor = 40.0, .mscale_all_dim = 1.0};
  config.max_position_embeddings = 163840;
  return config;
}

struct Published {
  std::string_view name;
  ModelConfig config;
};

const std::vector<Published>& published() {
  static const std::vector<Published> kShapes = {
      {"r1-distill-qwen-1.5b", qwen_distill(1536, 8960, 12, 2, 151936)},
      {"r1-distill-qwen-7b", qwen_distill(3584, 18944, 28, 4, 152064)},
      {"r1-distill-llama-8b", llama_distill()},
      {"deepseek-v2-lite", deepseek_v2_lite()},
      {"r1-layer", r1_layer()},
  };
  return kShapes;
}

}  // namespace

std::vector<std::string> published_shape_names() {
  std::vector<std::string> names;
  for (const Published& shape : published()) names.emplace_back(shape.name);
  return names;
}

ModelConfig published_shape(std::string_view name) {
  for (const Published& shape : published()) {
    if (shape.name == name) return shape.config;
  }
  throw Error("shape", fmt::format("\"{}\" is not known", name),
              fmt::format("{}", fmt::join(published_shape_names(), ", ")));
}

}  // namespace r1
