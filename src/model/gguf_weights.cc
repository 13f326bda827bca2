#include "model/gguf_weights.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

#include "base/error.h"
#include "model/rope.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using NamePair = std::pair<std::string_view, std::string_view>;

constexpr std::array kOutside = std::to_array<NamePair>({
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
});

// Of a layer, without ".weight" or ".bias".
constexpr std::array kInLayer = std::to_array<NamePair>({
    {"input_layernorm", "attn_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"self_attn.q_a_proj", "attn_q_a"},
    {"self_attn.q_a_layernorm", "attn_q_a_norm"},
    {"self_attn.q_b_proj", "attn_q_b"},
    {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"},
    {"self_attn.kv_a_layernorm", "attn_kv_a_norm"},
    {"self_attn.kv_b_proj", "attn_kv_b"},
    {"self_attn.k_b_proj", "attn_k_b"},  // its halves (weight_source.h)
    {"self_attn.v_b_proj", "attn_v_b"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"mlp.gate", "ffn_gate_inp"},
    {"mlp.shared_experts.gate_proj", "ffn_gate_shexp"},
    {"mlp.shared_experts.up_proj", "ffn_up_shexp"},
    {"mlp.shared_experts.down_proj", "ffn_down_shexp"},
    {"enorm", "nextn.enorm"},  // of prediction modules, which are layers behind the others
    {"hnorm", "nextn.hnorm"},
    {"eh_proj", "nextn.eh_proj"},
    {"shared_head.norm", "nextn.shared_head_norm"},
});

template <std::size_t n>
std::optional<std::string_view> translated(const std::array<NamePair, n>& names,
                                           std::string_view name) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const NamePair& p) { return p.first == name; });
  if (found == names.end()) return std::nullopt;
  return found->second;
}

// Takes "PREFIXnumber." off the front of `rest`.
std::optional<std::int64_t> take_number(std::string_view& rest, std::string_view prefix) {
  if (!rest.starts_with(prefix)) return std::nullopt;
  std::int64_t number = 0;
  const char* begin = rest.data() + prefix.size();
  const auto [stop, error] = std::from_chars(begin, rest.data() + rest.size(), number);
  if (error != std::errc() || stop == rest.data() + rest.size() || *stop != '.') {
    return std::nullopt;
  }
  rest.remove_prefix(static_cast<std::size_t>(stop + 1 - rest.data()));
  return number;
}

// Metadata under the architecture's own prefix.
class Keys {
 public:
  Keys(const GgufMetadata& metadata, std::string architecture)
      : metadata_(metadata), architecture_(std::move(architecture)) {}

  std::string full(std::string_view key) const { return fmt::format("{}.{}", architecture_, key); }
  bool has(std::string_view key) const { return metadata_.has(full(key)); }
  template <typename T>
  T require(std::string_view key) const {
    return metadata_.require<T>(full(key));
  }
  template <typename T>
  T get_or(std::string_view key, T fallback) const {
    return metadata_.get_or<T>(full(key), std::move(fallback));
  }

 private:
  const GgufMetadata& metadata_;
  std::string architecture_;
};

void read_latent_attention(const Keys& keys, const GgufFile& file, ModelConfig& config,
                           std::string_view where) {
  const bool sigmoid = keys.get_or<std::int64_t>("expert_gating_func", 1) == 2;
  config.model_type = sigmoid ? "deepseek_v3" : "deepseek_v2";
  config.q_lora_rank = keys.get_or<std::int64_t>("attention.q_lora_rank", 0);
  config.kv_lora_rank = keys.require<std::int64_t>("attention.kv_lora_rank");
  config.qk_rope_head_dim = keys.require<std::int64_t>("rope.dimension_count");
  // Newer files tell a head's lengths apart from those of the latent.
  const bool newer = keys.has("attention.key_length_mla");
  config.qk_nope_head_dim =
      keys.require<std::int64_t>(newer ? "attention.key_length_mla" : "attention.key_length") -
      config.qk_rope_head_dim;
  config.v_head_dim =
      keys.require<std::int64_t>(newer ? "attention.value_length_mla" : "attention.value_length");

  config.n_routed_experts = keys.get_or<std::int64_t>("expert_count", 0);
  if (config.n_routed_experts == 0) return;
  config.first_k_dense_replace = keys.get_or<std::int64_t>("leading_dense_block_count", 0);
  config.moe_intermediate_size = keys.require<std::int64_t>("expert_feed_forward_length");
  config.num_experts_per_tok = keys.require<std::int64_t>("expert_used_count");
  config.n_shared_experts = keys.get_or<std::int64_t>("expert_shared_count", 0);
  // Some files count prediction modules among the layers and have none.
  const auto modules = keys.get_or<std::int64_t>("nextn_predict_layers", 0);
  if (modules < 0 || modules >= config.num_hidden_layers) {
    throw Error(where, fmt::format("\"{}\" is {} of {} layers", keys.full("nextn_predict_layers"),
                                   modules, config.num_hidden_layers));
  }
  config.num_hidden_layers -= modules;
  if (file.has(fmt::format("blk.{}.nextn.eh_proj.weight", config.num_hidden_layers))) {
    config.num_nextn_predict_layers = modules;
  }
  config.routed_scaling_factor = keys.get_or<double>("expert_weights_scale", 1.0);
  config.norm_topk_prob = keys.get_or<bool>("expert_weights_norm", false);
  config.scoring_func = sigmoid ? "sigmoid" : "softmax";
  // Files from before groups were written are of DeepSeek-V3 or R1 if they have 256 experts.
  const bool whole = sigmoid && config.n_routed_experts == 256;
  config.n_group = keys.get_or<std::int64_t>("expert_group_count", whole ? 8 : 1);
  config.topk_group = keys.get_or<std::int64_t>("expert_group_used_count", whole ? 4 : 1);
  const std::string bias = fmt::format("blk.{}.exp_probs_b.bias", config.first_k_dense_replace);
  config.topk_method = file.has(bias)       ? "noaux_tc"
                       : config.n_group > 1 ? "group_limited_greedy"
                                            : "greedy";
}

void read_grouped_attention(const Keys& keys, const GgufFile& file, ModelConfig& config) {
  config.num_key_value_heads =
      keys.get_or<std::int64_t>("attention.head_count_kv", config.num_attention_heads);
  if (config.num_attention_heads > 0) {
    config.head_dim = keys.get_or<std::int64_t>("attention.key_length",
                                                config.hidden_size / config.num_attention_heads);
  }
  config.attention_bias = file.has("blk.0.attn_q.bias");
  config.attention_output_bias = file.has("blk.0.attn_output.bias");
  config.qk_norm = file.has("blk.0.attn_q_norm.weight");
}

// Llama 3.1 and later: the file holds by how much each pair's wave is stretched. The parameters
// behind it are Meta's own; what does not follow from them is refused.
RopeScaling read_rope_factors(const GgufTensor& tensor, const ModelConfig& config,
                              std::string_view where) {
  const AlignedBuffer<float> factors = load_f32(tensor);
  Llama3Scaling scaling;
  for (const float factor : factors) {
    scaling.factor = std::max(scaling.factor, static_cast<double>(factor));
  }
  const std::vector<float> plain = rope_frequencies(config.head_dim, config.rope_theta, {});
  const std::vector<float> scaled = rope_frequencies(config.head_dim, config.rope_theta, scaling);
  bool same = plain.size() == factors.size();
  for (std::size_t i = 0; same && i < plain.size(); ++i) {
    const float wanted = plain[i] / scaled[i];
    same = std::abs(factors[i] - wanted) <= 1e-3f * wanted;
  }
  if (!same) {
    throw Error(where, "tensor \"rope_freqs.weight\" is not of Llama 3.1 to 3.3",
                "other scalings of the rotation are not supported");
  }
  return scaling;
}

// A number that its makers wrote with few digits, and the file holds in single precision: 0.707.
double short_decimal(double value) { return std::stod(fmt::format("{:.6g}", value)); }

RopeScaling read_rope_scaling(const Keys& keys, const GgufFile& file, const ModelConfig& config,
                              std::string_view where) {
  if (const GgufTensor* factors = file.find("rope_freqs.weight"); factors != nullptr) {
    return read_rope_factors(*factors, config, where);
  }
  const auto type = keys.get_or<std::string>("rope.scaling.type", "none");
  if (type == "none") return {};
  if (type != "yarn") {
    throw Error(where, fmt::format("\"{}\" is \"{}\", which is not supported",
                                   keys.full("rope.scaling.type"), type));
  }
  YarnScaling yarn;
  yarn.factor = keys.require<double>("rope.scaling.factor");
  yarn.original_max_position_embeddings =
      keys.require<std::int64_t>("rope.scaling.original_context_length");
  yarn.beta_fast = keys.get_or<double>("rope.scaling.yarn_beta_fast", 32.0);
  yarn.beta_slow = keys.get_or<double>("rope.scaling.yarn_beta_slow", 1.0);
  if (config.has_latent_attention()) {
    // Stored as the factor of log(scaling): 0.1 * mscale_all_dim. Mscale is its equal in all
    // published models.
    yarn.mscale_all_dim =
        short_decimal(10.0 * keys.get_or<double>("rope.scaling.yarn_log_multiplier", 0.0));
    yarn.mscale = yarn.mscale_all_dim;
  } else {
    // The file's factor comes on top of YaRN's own.
    yarn.attention_factor = keys.get_or<double>("rope.scaling.attn_factor", 1.0) *
                            (0.1 * std::log(std::max(yarn.factor, 1.0)) + 1.0);
  }
  return yarn;
}

// Llama's queries and keys are stored for a rotation of neighbouring pairs, head by head: row
// 2 j + s holds what Hugging Face has in row s * head_dim / 2 + j.
// `columns` elements of T make a row.
template <typename T>
AlignedBuffer<T> halves_from_pairs(std::int64_t heads, std::int64_t head_dim, std::int64_t columns,
                                   std::span<const T> values) {
  AlignedBuffer<T> halves(values.size(), Fill::none);
  for (std::int64_t head = 0; head < heads; ++head) {
    for (std::int64_t row = 0; row < head_dim; ++row) {
      const std::int64_t half = row / (head_dim / 2), pair = row % (head_dim / 2);
      const T* from = values.data() + (head * head_dim + 2 * pair + half) * columns;
      std::copy_n(from, columns, halves.data() + (head * head_dim + row) * columns);
    }
  }
  return halves;
}

class GgufWeights : public WeightSource {
 public:
  explicit GgufWeights(const fs::path& path)
      : where_(path.string()),
        file_(GgufFile::open(path)),
        config_(config_from_gguf(file_, where_)) {}

  const ModelConfig& config() const override { return config_; }

  StoredTensors contents() const override {
    StoredTensors contents;
    for (const GgufTensor& tensor : file_.tensors()) {
      ++contents.count;
      contents.values[tensor.type_name()] += static_cast<std::int64_t>(tensor.elements());
    }
    return contents;
  }

  AlignedBuffer<float> read(const std::string& name, const Shape& shape) const override {
    const GgufName found = gguf_name_of(name);
    if (found.name.ends_with("attn_kv_b.weight") && !file_.has(found.name)) {
      return read_split_latent_up(found.name.substr(0, found.name.size() - 11), shape);
    }
    AlignedBuffer<float> values = load_f32(find(found, shape));
    const std::int64_t heads = heads_stored_as_pairs(found.name);
    if (heads == 0) return values;
    return halves_from_pairs<float>(heads, config_.head_dim, shape.count() / shape[0],
                                    values.span());
  }

  std::optional<StoredRows> stored(const std::string& name, const Shape& shape) const override {
    const GgufName found = gguf_name_of(name);
    if (!file_.has(found.name)) return std::nullopt;
    const GgufTensor slice = find(found, shape);
    StoredRows rows{
        .type = *slice.type, .bytes = slice.bytes, .mapped = true, .panels = slice.panels};
    if (const std::int64_t heads = heads_stored_as_pairs(found.name); heads != 0) {
      const auto row_bytes = static_cast<std::int64_t>(slice.bytes.size()) / shape[0];
      rows.owned = halves_from_pairs(heads, config_.head_dim, row_bytes, slice.bytes);
      rows.bytes = rows.owned.span();
      rows.mapped = false;
    }
    return rows;
  }

 private:
  // Heads of a tensor whose rows lie in Llama's order; none of any other. Panels hold them in ours.
  std::int64_t heads_stored_as_pairs(const std::string& name) const {
    if (config_.model_type != "llama" || file_.at(name).panels) return 0;
    if (name.find(".attn_q.") != std::string::npos) return config_.num_attention_heads;
    if (name.find(".attn_k.") != std::string::npos) return config_.num_key_value_heads;
    return 0;
  }

  // A tensor, or one slice of its outermost axis.
  GgufTensor find(const GgufName& wanted, const Shape& shape) const {
    GgufTensor tensor = file_.at(wanted.name);
    bool fits = true;
    if (wanted.slice >= 0) {
      fits = !tensor.shape.empty() && wanted.slice < tensor.shape.front();
      if (fits) {
        const std::size_t slice =
            tensor.bytes.size() / static_cast<std::size_t>(tensor.shape.front());
        tensor.bytes = tensor.bytes.subspan(static_cast<std::size_t>(wanted.slice) * slice, slice);
        tensor.shape.erase(tensor.shape.begin());
      }
    }
    std::vector<std::int64_t> expected;
    for (int axis = 0; axis < shape.rank(); ++axis) expected.push_back(shape[axis]);
    if (!fits || tensor.shape != expected) {
      throw Error(where_,
                  fmt::format("tensor \"{}\" is [{}], but the metadata asks for [{}]", wanted.name,
                              fmt::join(tensor.shape, ", "), fmt::join(expected, ", ")));
    }
    return tensor;
  }

  // kv_b_proj [heads * (nope + value), latent] of the halves attn_k_b [heads, latent, nope] and
  // attn_v_b [heads, value, latent].
  AlignedBuffer<float> read_split_latent_up(const std::string& layer, const Shape& shape) const {
    const std::int64_t heads = config_.num_attention_heads, latent = config_.kv_lora_rank;
    const std::int64_t nope = config_.qk_nope_head_dim, value = config_.v_head_dim;
    R1_CHECK(shape == Shape({heads * (nope + value), latent}), "{}", to_string(shape));
    const AlignedBuffer<float> keys =
        load_f32(find({layer + "k_b.weight"}, Shape({heads, latent, nope})));
    const AlignedBuffer<float> values =
        load_f32(find({layer + "v_b.weight"}, Shape({heads, value, latent})));
    AlignedBuffer<float> joined(static_cast<std::size_t>(shape.count()), Fill::none);
    for (std::int64_t head = 0; head < heads; ++head) {
      float* to = joined.data() + head * (nope + value) * latent;
      const float* key = keys.data() + head * latent * nope;
      for (std::int64_t row = 0; row < nope; ++row) {
        for (std::int64_t column = 0; column < latent; ++column) {
          to[row * latent + column] = key[column * nope + row];
        }
      }
      std::copy_n(values.data() + head * value * latent, value * latent, to + nope * latent);
    }
    return joined;
  }

  std::string where_;
  GgufFile file_;
  ModelConfig config_;
};

}  // namespace

GgufName gguf_name_of(const std::string& name) {
  if (const auto outside = translated(kOutside, name)) return {std::string(*outside)};
  std::string_view rest = name;
  const auto layer = take_number(rest, "model.layers.");
  R1_CHECK(layer.has_value(), "{} has no name in GGUF", name);
  if (rest == "mlp.gate.e_score_correction_bias") {
    return {fmt::format("blk.{}.exp_probs_b.bias", *layer)};
  }
  const std::size_t dot = rest.rfind('.');
  const std::string_view suffix = rest.substr(dot + 1);
  std::string_view module = rest.substr(0, dot);
  if (const auto expert = take_number(module, "mlp.experts.")) {
    const std::string_view kind = module.substr(0, module.find('_'));
    return {fmt::format("blk.{}.ffn_{}_exps.{}", *layer, kind, suffix), *expert};
  }
  const auto inside = translated(kInLayer, module);
  R1_CHECK(inside.has_value(), "{} has no name in GGUF", name);
  return {fmt::format("blk.{}.{}.{}", *layer, *inside, suffix)};
}

ModelConfig config_from_gguf(const GgufFile& file, std::string_view where) {
  const GgufMetadata& metadata = file.metadata();
  const auto architecture = metadata.require<std::string>("general.architecture");
  if (architecture != "qwen2" && architecture != "qwen3" && architecture != "llama" &&
      architecture != "deepseek2") {
    throw Error(where, fmt::format("architecture \"{}\" is not supported", architecture),
                "qwen2, qwen3, llama and deepseek2 are");
  }
  const Keys keys(metadata, architecture);
  ModelConfig config;
  config.model_type = architecture;
  config.hidden_size = keys.require<std::int64_t>("embedding_length");
  config.num_hidden_layers = keys.require<std::int64_t>("block_count");
  config.intermediate_size = keys.require<std::int64_t>("feed_forward_length");
  config.num_attention_heads = keys.require<std::int64_t>("attention.head_count");
  config.max_position_embeddings = keys.require<std::int64_t>("context_length");
  config.rms_norm_eps = short_decimal(keys.require<double>("attention.layer_norm_rms_epsilon"));
  config.rope_theta = keys.get_or<double>("rope.freq_base", 10000.0);
  const GgufValue* tokens = metadata.find("tokenizer.ggml.tokens");
  config.vocab_size = keys.get_or<std::int64_t>(
      "vocab_size", tokens != nullptr ? static_cast<std::int64_t>(tokens->count) : 0);
  if (const GgufTensor* embedding = file.find("token_embd.weight"); embedding != nullptr) {
    // Padding rows of the embedding have no token.
    if (!embedding->shape.empty()) config.vocab_size = embedding->shape.front();
    config.torch_dtype = embedding->type == GgmlType::f32 ? "float32" : "bfloat16";
  }
  if (architecture == "deepseek2") {
    read_latent_attention(keys, file, config, where);
  } else {
    read_grouped_attention(keys, file, config);
  }
  config.rope_scaling = read_rope_scaling(keys, file, config, where);
  config.tie_word_embeddings = !file.has("output.weight");
  config.bos_token_id = metadata.get_or<std::int64_t>("tokenizer.ggml.bos_token_id", 0);
  config.eos_token_id = metadata.get_or<std::int64_t>("tokenizer.ggml.eos_token_id", 1);
  // What is too large or contradictory is refused as in a config.json.
  return parse_config(write_config(config), where);
}

std::unique_ptr<WeightSource> open_gguf_weights(const fs::path& path) {
  return std::make_unique<GgufWeights>(path);
}

}  // namespace r1
