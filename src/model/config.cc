#include "model/config.h"

#include <cmath>

#include "base/error.h"
#include "formats/json.h"

namespace r1 {
namespace {

using nlohmann::json;

// Far above any published model. The products of these, added up, stay inside 64 bits.
constexpr std::int64_t kMaxSize = std::int64_t{1} << 18;
constexpr std::int64_t kMaxVocabulary = std::int64_t{1} << 20;
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 24;
constexpr std::int64_t kMaxHeads = 4096, kMaxHeadSize = 4096;
constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxExperts = 4096;

// Of all layers together; DeepSeek-V3 has 15 thousand.
constexpr std::int64_t kMaxExpertsInAll = std::int64_t{1} << 17;
constexpr std::int64_t kMaxParameters = std::int64_t{1} << 43;

std::int64_t size_field(const json& object, std::string_view key, std::string_view where,
                        std::int64_t low, std::int64_t high = kMaxSize) {
  const auto value = require<std::int64_t>(object, key, where);
  if (value < low || value > high) {
    throw Error(where, fmt::format("\"{}\" is {}, expected {} to {}", key, value, low, high));
  }
  return value;
}

std::int64_t size_field_or(const json& object, std::string_view key, std::string_view where,
                           std::int64_t fallback, std::int64_t low, std::int64_t high = kMaxSize) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return fallback;
  return size_field(object, key, where, low, high);
}

double yarn_mscale(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

// Where the rotation is described: "rope_parameters" of newer files holds what older ones have in
// "rope_scaling" and beside it.
const json* rope_object(const json& object, std::string_view where) {
  for (const std::string_view key : {"rope_parameters", "rope_scaling"}) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) continue;
    if (!found->is_object()) throw Error(where, fmt::format("\"{}\" is not an object", key));
    return &*found;
  }
  return nullptr;
}

YarnScaling parse_yarn(const json& scaling, const ModelConfig& config, std::string_view where) {
  YarnScaling yarn;
  yarn.factor = require<double>(scaling, "factor", where);
  constexpr std::string_view kOriginal = "original_max_position_embeddings";
  yarn.original_max_position_embeddings =
      config.has_latent_attention()
          ? size_field(scaling, kOriginal, where, 1, kMaxPositions)
          : size_field_or(scaling, kOriginal, where, config.max_position_embeddings, 1,
                          kMaxPositions);
  yarn.beta_fast = get_or<double>(scaling, "beta_fast", where, 32.0);
  yarn.beta_slow = get_or<double>(scaling, "beta_slow", where, 1.0);
  if (config.has_latent_attention()) {
    yarn.mscale = get_or<double>(scaling, "mscale", where, 1.0);
    yarn.mscale_all_dim = get_or<double>(scaling, "mscale_all_dim", where, 0.0);
  } else {
    yarn.attention_factor =
        get_or<double>(scaling, "attention_factor", where, yarn_mscale(yarn.factor, 1.0));
  }
  return yarn;
}

RopeScaling parse_rope_scaling(const json& object, const ModelConfig& config,
                               std::string_view where) {
  const json* scaling = rope_object(object, where);
  if (scaling == nullptr) return {};
  const auto type = scaling->contains("rope_type")
                        ? require<std::string>(*scaling, "rope_type", where)
                        : require<std::string>(*scaling, "type", where);
  if (type == "default") return {};
  if (type == "yarn") return parse_yarn(*scaling, config, where);
  if (type == "llama3" && !config.has_latent_attention()) {
    return Llama3Scaling{
        .factor = require<double>(*scaling, "factor", where),
        .low_freq_factor = require<double>(*scaling, "low_freq_factor", where),
        .high_freq_factor = require<double>(*scaling, "high_freq_factor", where),
        .original_max_position_embeddings =
            size_field(*scaling, "original_max_position_embeddings", where, 1, kMaxPositions)};
  }
  throw Error(
      where, fmt::format("rope_scaling of type \"{}\" is unknown for this architecture", type),
      config.has_latent_attention() ? "yarn is supported" : "yarn and llama3 are supported");
}

double parse_rope_theta(const json& object, std::string_view where) {
  const json* parameters = rope_object(object, where);
  if (!object.contains("rope_theta") && parameters != nullptr) {
    return get_or<double>(*parameters, "rope_theta", where, 10000.0);
  }
  return get_or<double>(object, "rope_theta", where, 10000.0);
}

// A token id, or the first of several (generation_config.json tells all that end a text).
std::int64_t token_id_or(const json& object, std::string_view key, std::string_view where,
                         std::int64_t fallback) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) {
    return size_field_or(object, key, where, fallback, 0, kMaxVocabulary);
  }
  if (found->empty()) return fallback;
  const json first = {{std::string(key), found->front()}};
  return size_field(first, key, where, 0, kMaxVocabulary);
}

bool is_deepseek(std::string_view model_type) {
  return model_type == "deepseek_v3" || model_type == "deepseek_v2";
}
bool is_dense_family(std::string_view model_type) {
  return model_type == "qwen2" || model_type == "qwen3" || model_type == "llama";
}

void parse_latent_attention(const json& object, ModelConfig& config, std::string_view where) {
  config.q_lora_rank = size_field_or(object, "q_lora_rank", where, 0, 0);
  config.kv_lora_rank = size_field(object, "kv_lora_rank", where, 1);
  config.qk_nope_head_dim = size_field(object, "qk_nope_head_dim", where, 1, kMaxHeadSize);
  config.qk_rope_head_dim = size_field(object, "qk_rope_head_dim", where, 2, kMaxHeadSize);
  config.v_head_dim = size_field(object, "v_head_dim", where, 1, kMaxHeadSize);
}

// Defaults are those of transformers' Qwen2Config, Qwen3Config and LlamaConfig.
void parse_grouped_attention(const json& object, ModelConfig& config, std::string_view where) {
  const bool qwen2 = config.model_type == "qwen2", qwen3 = config.model_type == "qwen3";
  config.num_key_value_heads =
      size_field_or(object, "num_key_value_heads", where, config.num_attention_heads, 1, kMaxHeads);
  const std::int64_t share = config.hidden_size / config.num_attention_heads;
  config.head_dim = size_field_or(object, "head_dim", where, qwen3 ? 128 : share, 2, kMaxHeadSize);
  config.qk_norm = qwen3;
  config.attention_bias = qwen2 || get_or<bool>(object, "attention_bias", where, false);
  config.attention_output_bias = config.attention_bias && !qwen2;
  const auto refuse = [&](bool asked, std::string_view what) {
    if (asked) throw Error(where, fmt::format("{} is not supported", what));
  };
  refuse(get_or<bool>(object, "mlp_bias", where, false), "mlp_bias");
  refuse(get_or<bool>(object, "use_sliding_window", where, false) &&
             size_field_or(object, "max_window_layers", where, 0, 0, kMaxLayers) <
                 config.num_hidden_layers,
         "sliding-window attention");
}

void parse_experts(const json& object, ModelConfig& config, std::string_view where) {
  config.n_routed_experts = size_field_or(object, "n_routed_experts", where, 0, 0, kMaxExperts);
  if (config.n_routed_experts == 0) return;
  const bool v3 = config.model_type == "deepseek_v3";
  config.moe_intermediate_size = size_field(object, "moe_intermediate_size", where, 1);
  config.num_experts_per_tok = size_field(object, "num_experts_per_tok", where, 1, kMaxExperts);
  config.n_shared_experts = size_field_or(object, "n_shared_experts", where, 0, 0, kMaxExperts);
  config.first_k_dense_replace =
      size_field_or(object, "first_k_dense_replace", where, 0, 0, kMaxLayers);
  config.moe_layer_freq = size_field_or(object, "moe_layer_freq", where, 1, 1, kMaxLayers);
  config.n_group = size_field_or(object, "n_group", where, 1, 1, kMaxExperts);
  config.topk_group = size_field_or(object, "topk_group", where, 1, 1, kMaxExperts);
  config.scoring_func =
      get_or<std::string>(object, "scoring_func", where, v3 ? "sigmoid" : "softmax");
  config.topk_method =
      get_or<std::string>(object, "topk_method", where, v3 ? "noaux_tc" : "greedy");
  config.norm_topk_prob = get_or<bool>(object, "norm_topk_prob", where, v3);
  config.routed_scaling_factor = get_or<double>(object, "routed_scaling_factor", where, 1.0);
}

}  // namespace

RoutingConfig ModelConfig::routing() const {
  RoutingConfig routing;
  routing.score = scoring_func == "softmax" ? ScoreFunction::softmax : ScoreFunction::sigmoid;
  routing.experts = n_routed_experts;
  routing.experts_per_token = num_experts_per_tok;
  // "greedy" ignores the groups that a config may still name.
  const bool grouped = topk_method != "greedy";
  routing.groups = grouped ? n_group : 1;
  routing.groups_per_token = grouped ? topk_group : 1;
  routing.group_score_top = has_routing_bias() ? 2 : 1;
  routing.normalise = norm_topk_prob;
  routing.scale = static_cast<float>(routed_scaling_factor);
  return routing;
}

float ModelConfig::softmax_scale() const {
  if (!has_latent_attention()) {
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  }
  double scale = 1.0 / std::sqrt(static_cast<double>(qk_nope_head_dim + qk_rope_head_dim));
  if (const YarnScaling* yarn = std::get_if<YarnScaling>(&rope_scaling)) {
    const double m = yarn_mscale(yarn->factor, yarn->mscale_all_dim);
    scale *= m * m;
  }
  return static_cast<float>(scale);
}

ModelConfig parse_config(std::string_view text, std::string_view where) {
  const json object = parse_json(text, where, JsonLimits{.max_depth = 16, .max_bytes = 1 << 20});
  ModelConfig config;
  config.model_type = require<std::string>(object, "model_type", where);
  if (!is_deepseek(config.model_type) && !is_dense_family(config.model_type)) {
    throw Error(where, fmt::format("architecture \"{}\" is not supported", config.model_type),
                "deepseek_v3, deepseek_v2, qwen2, qwen3 and llama are");
  }
  config.vocab_size = size_field(object, "vocab_size", where, 1, kMaxVocabulary);
  config.hidden_size = size_field(object, "hidden_size", where, 1);
  config.intermediate_size = size_field(object, "intermediate_size", where, 1);
  config.num_hidden_layers = size_field(object, "num_hidden_layers", where, 1, kMaxLayers);
  config.num_attention_heads = size_field(object, "num_attention_heads", where, 1, kMaxHeads);
  config.max_position_embeddings =
      size_field(object, "max_position_embeddings", where, 1, kMaxPositions);
  if (is_deepseek(config.model_type)) {
    parse_latent_attention(object, config, where);
    parse_experts(object, config, where);
    config.num_nextn_predict_layers =
        size_field_or(object, "num_nextn_predict_layers", where, 0, 0, 64);
  } else {
    parse_grouped_attention(object, config, where);
  }
  config.rope_theta = parse_rope_theta(object, where);
  config.rope_scaling = parse_rope_scaling(object, config, where);
  config.rms_norm_eps = get_or<double>(object, "rms_norm_eps", where, 1e-6);
  config.tie_word_embeddings = get_or<bool>(object, "tie_word_embeddings", where, false);
  config.initializer_range = get_or<double>(object, "initializer_range", where, 0.02);
  config.bos_token_id = token_id_or(object, "bos_token_id", where, 0);
  config.eos_token_id = token_id_or(object, "eos_token_id", where, 1);
  // Newer files say "dtype".
  config.torch_dtype = get_or<std::string>(
      object, object.contains("torch_dtype") ? "torch_dtype" : "dtype", where, "bfloat16");
  check_config(config, where);
  return config;
}

void check_config(const ModelConfig& config, std::string_view where) {
  const auto need = [&](bool holds, std::string_view what) {
    if (!holds) throw Error(where, what);
  };
  need(config.vocab_size > 0 && config.hidden_size > 0 && config.num_hidden_layers > 0,
       "vocab_size, hidden_size and num_hidden_layers must be positive");
  need(config.num_attention_heads > 0, "num_attention_heads must be positive");
  if (config.has_latent_attention()) {
    need(config.qk_rope_head_dim % 2 == 0, "qk_rope_head_dim must be even");
  } else {
    need(is_dense_family(config.model_type), "kv_lora_rank must be positive");
    need(config.num_key_value_heads > 0 &&
             config.num_attention_heads % config.num_key_value_heads == 0,
         "num_key_value_heads must divide num_attention_heads");
    need(config.head_dim > 0 && config.head_dim % 2 == 0, "head_dim must be even");
    need(config.n_routed_experts == 0 && config.num_nextn_predict_layers == 0,
         "experts and prediction modules need latent attention");
  }
  need(config.rope_theta > 1.0, "rope_theta must be above 1");
  need(config.rms_norm_eps >= 0.0, "rms_norm_eps must not be negative");
  need(config.initializer_range >= 0.0, "initializer_range must not be negative");
  if (const YarnScaling* yarn = std::get_if<YarnScaling>(&config.rope_scaling)) {
    need(yarn->factor >= 1.0, "rope_scaling factor must be at least 1");
    need(yarn->beta_slow > 0.0 && yarn->beta_fast >= yarn->beta_slow,
         "rope_scaling beta_slow must be positive and beta_fast no smaller");
    need(yarn->mscale >= 0.0 && yarn->mscale_all_dim >= 0.0,
         "rope_scaling mscale and mscale_all_dim must not be negative");
    need(yarn->attention_factor > 0.0, "rope_scaling attention_factor must be positive");
  }
  if (const Llama3Scaling* llama3 = std::get_if<Llama3Scaling>(&config.rope_scaling)) {
    need(llama3->factor >= 1.0, "rope_scaling factor must be at least 1");
    need(llama3->low_freq_factor > 0.0 && llama3->high_freq_factor > llama3->low_freq_factor,
         "rope_scaling low_freq_factor must be positive and high_freq_factor above it");
  }
  const std::int64_t layers = config.num_hidden_layers + config.num_nextn_predict_layers;
  need(layers * config.n_routed_experts <= kMaxExpertsInAll,
       "num_hidden_layers times n_routed_experts is more than any machine holds");
  const ParameterCount count = count_parameters(config);
  if (count.total + count.multi_token_prediction > kMaxParameters) {
    throw Error(where, fmt::format("the sizes add up to {} parameters, more than any machine holds",
                                   count.total + count.multi_token_prediction));
  }
  if (config.n_routed_experts == 0) return;
  need(config.scoring_func == "sigmoid" || config.scoring_func == "softmax",
       "scoring_func must be \"sigmoid\" or \"softmax\"");
  need(config.topk_method == "noaux_tc" || config.topk_method == "greedy" ||
           config.topk_method == "group_limited_greedy",
       "topk_method must be \"noaux_tc\", \"greedy\" or \"group_limited_greedy\"");
  const RoutingConfig routing = config.routing();
  need(routing.experts % routing.groups == 0, "n_group must divide n_routed_experts");
  need(routing.groups_per_token <= routing.groups, "topk_group must not exceed n_group");
  need(routing.experts_per_token <= routing.experts / routing.groups * routing.groups_per_token,
       "num_experts_per_tok must not exceed the experts in topk_group groups");
  need(routing.group_score_top <= routing.experts / routing.groups,
       "each routing group needs at least two experts");
}

namespace {

using nlohmann::ordered_json;

std::string_view architecture_of(std::string_view model_type) {
  return model_type == "deepseek_v3"   ? "DeepseekV3ForCausalLM"
         : model_type == "deepseek_v2" ? "DeepseekV2ForCausalLM"
         : model_type == "qwen2"       ? "Qwen2ForCausalLM"
         : model_type == "qwen3"       ? "Qwen3ForCausalLM"
                                       : "LlamaForCausalLM";
}

void write_latent_attention(const ModelConfig& config, ordered_json& object) {
  object["num_key_value_heads"] = config.num_attention_heads;
  if (config.n_routed_experts > 0) {
    object["moe_intermediate_size"] = config.moe_intermediate_size;
    object["first_k_dense_replace"] = config.first_k_dense_replace;
    object["moe_layer_freq"] = config.moe_layer_freq;
    object["n_routed_experts"] = config.n_routed_experts;
    object["n_shared_experts"] = config.n_shared_experts;
    object["num_experts_per_tok"] = config.num_experts_per_tok;
    object["n_group"] = config.n_group;
    object["topk_group"] = config.topk_group;
    object["scoring_func"] = config.scoring_func;
    object["topk_method"] = config.topk_method;
    object["norm_topk_prob"] = config.norm_topk_prob;
    object["routed_scaling_factor"] = config.routed_scaling_factor;
  }
  if (config.q_lora_rank > 0) {
    object["q_lora_rank"] = config.q_lora_rank;
  } else {
    object["q_lora_rank"] = nullptr;
  }
  object["kv_lora_rank"] = config.kv_lora_rank;
  object["qk_nope_head_dim"] = config.qk_nope_head_dim;
  object["qk_rope_head_dim"] = config.qk_rope_head_dim;
  object["v_head_dim"] = config.v_head_dim;
  object["attention_bias"] = false;
  object["num_nextn_predict_layers"] = config.num_nextn_predict_layers;
}

void write_grouped_attention(const ModelConfig& config, ordered_json& object) {
  object["num_key_value_heads"] = config.num_key_value_heads;
  object["head_dim"] = config.head_dim;
  if (config.model_type != "qwen2") object["attention_bias"] = config.attention_bias;
}

ordered_json write_rope_scaling(const ModelConfig& config) {
  if (const YarnScaling* yarn = std::get_if<YarnScaling>(&config.rope_scaling)) {
    ordered_json object = {
        {config.has_latent_attention() ? "type" : "rope_type", "yarn"},
        {"factor", yarn->factor},
        {"original_max_position_embeddings", yarn->original_max_position_embeddings},
        {"beta_fast", yarn->beta_fast},
        {"beta_slow", yarn->beta_slow}};
    if (config.has_latent_attention()) {
      object["mscale"] = yarn->mscale;
      object["mscale_all_dim"] = yarn->mscale_all_dim;
    } else {
      object["attention_factor"] = yarn->attention_factor;
    }
    return object;
  }
  if (const Llama3Scaling* llama3 = std::get_if<Llama3Scaling>(&config.rope_scaling)) {
    return {{"rope_type", "llama3"},
            {"factor", llama3->factor},
            {"low_freq_factor", llama3->low_freq_factor},
            {"high_freq_factor", llama3->high_freq_factor},
            {"original_max_position_embeddings", llama3->original_max_position_embeddings}};
  }
  return nullptr;
}

std::int64_t attention_parameters(const ModelConfig& config) {
  const std::int64_t hidden = config.hidden_size, heads = config.num_attention_heads;
  if (!config.has_latent_attention()) {
    const std::int64_t queries = heads * config.head_dim;
    const std::int64_t keys = config.num_key_value_heads * config.head_dim;
    return 2 * hidden * (queries + keys) + (config.attention_bias ? queries + 2 * keys : 0) +
           (config.attention_output_bias ? hidden : 0) + (config.qk_norm ? 2 * config.head_dim : 0);
  }
  const std::int64_t query = heads * (config.qk_nope_head_dim + config.qk_rope_head_dim);
  const std::int64_t rank = config.q_lora_rank;
  std::int64_t count = rank > 0 ? rank * hidden + rank + query * rank : query * hidden;
  count += (config.kv_lora_rank + config.qk_rope_head_dim) * hidden + config.kv_lora_rank;
  count += heads * (config.qk_nope_head_dim + config.v_head_dim) * config.kv_lora_rank;
  return count + hidden * heads * config.v_head_dim;
}

}  // namespace

std::string write_config(const ModelConfig& config) {
  ordered_json object;
  object["architectures"] = {architecture_of(config.model_type)};
  object["model_type"] = config.model_type;
  object["vocab_size"] = config.vocab_size;
  object["hidden_size"] = config.hidden_size;
  object["intermediate_size"] = config.intermediate_size;
  object["num_hidden_layers"] = config.num_hidden_layers;
  object["num_attention_heads"] = config.num_attention_heads;
  if (config.has_latent_attention()) {
    write_latent_attention(config, object);
  } else {
    write_grouped_attention(config, object);
  }
  object["rope_theta"] = config.rope_theta;
  object["rope_scaling"] = write_rope_scaling(config);
  object["max_position_embeddings"] = config.max_position_embeddings;
  object["rms_norm_eps"] = config.rms_norm_eps;
  object["hidden_act"] = "silu";
  object["tie_word_embeddings"] = config.tie_word_embeddings;
  object["initializer_range"] = config.initializer_range;
  object["bos_token_id"] = config.bos_token_id;
  object["eos_token_id"] = config.eos_token_id;
  object["torch_dtype"] = config.torch_dtype;
  return object.dump(2) + "\n";
}

ParameterCount count_parameters(const ModelConfig& config) {
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t attention = attention_parameters(config);
  const std::int64_t norms = 2 * hidden;

  const std::int64_t expert = 3 * hidden * config.moe_intermediate_size;
  const std::int64_t gate =
      config.n_routed_experts * (hidden + (config.has_routing_bias() ? 1 : 0));
  const std::int64_t moe_common = gate + config.n_shared_experts * expert;

  ParameterCount count;
  for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    const bool moe = config.is_moe_layer(layer);
    const std::int64_t dense = 3 * hidden * config.intermediate_size;
    count.total +=
        attention + norms + (moe ? moe_common + config.n_routed_experts * expert : dense);
    count.active +=
        attention + norms + (moe ? moe_common + config.num_experts_per_tok * expert : dense);
  }
  const std::int64_t table = config.vocab_size * hidden;
  const std::int64_t outside = hidden + table * (config.tie_word_embeddings ? 1 : 2);
  count.total += outside;
  count.active += outside;
  if (config.num_nextn_predict_layers > 0) {
    const bool moe = config.n_routed_experts > 0;
    const std::int64_t ffn =
        moe ? moe_common + config.n_routed_experts * expert : 3 * hidden * config.intermediate_size;
    count.multi_token_prediction = config.num_nextn_predict_layers *
                                   (attention + norms + ffn + 3 * hidden + 2 * hidden * hidden);
  }
  return count;
}

}  // namespace r1
