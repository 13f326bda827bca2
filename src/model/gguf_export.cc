#include "model/gguf_export.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>

#include "backend/matmul.h"
#include "base/error.h"
#include "model/gguf_encode.h"
#include "model/gguf_tokenizer.h"
#include "model/gguf_weights.h"
#include "model/model.h"
#include "model/rope.h"
#include "text/byte_alphabet.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;

struct NamedRecipe {
  std::string_view name;
  GgmlType type;
  bool mixed;
  std::uint32_t file_type;  // general.file_type
  bool keep = false;
};
constexpr std::array kRecipes = std::to_array<NamedRecipe>({
    {"F32", GgmlType::f32, false, 0},
    {"F16", GgmlType::f16, false, 1},
    {"BF16", GgmlType::bf16, false, 32},
    {"Q8_0", GgmlType::q8_0, false, 7},
    {"Q4_0", GgmlType::q4_0, false, 2},
    {"Q4_K", GgmlType::q4_k, false, 14},
    {"Q4_K_M", GgmlType::q4_k, true, 15},
    {"Q5_K", GgmlType::q5_k, false, 16},
    {"Q6_K", GgmlType::q6_k, false, 18},
    {"KEEP", GgmlType::bf16, false, 0, true},
});

// llama.cpp's choice of the layers whose value and down projections get more bits.
bool gets_more_bits(std::int64_t layer, std::int64_t layers) {
  const std::int64_t eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

// "attn_v" of "blk.7.attn_v.weight", with the layer; the whole name and -1 outside layers.
std::pair<std::string_view, std::int64_t> module_of(std::string_view name) {
  if (!name.starts_with("blk.")) return {name.substr(0, name.rfind('.')), -1};
  name.remove_prefix(4);
  std::int64_t layer = 0;
  while (!name.empty() && name.front() != '.') {
    layer = layer * 10 + (name.front() - '0');
    name.remove_prefix(1);
  }
  name.remove_prefix(1);
  return {name.substr(0, name.rfind('.')), layer};
}

std::string architecture_of(const ModelConfig& config) {
  return config.has_latent_attention() ? "deepseek2" : config.model_type;
}

std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

void describe_latent(const ModelConfig& config, const std::string& prefix,
                     GgufMetadataBuilder& metadata) {
  const auto set = [&](std::string_view key, auto value) {
    metadata.set(prefix + std::string(key), value);
  };
  const std::int64_t rope = config.qk_rope_head_dim, latent = config.kv_lora_rank;
  set("attention.head_count_kv", std::uint32_t{1});  // as attention runs: all heads share a row
  set("attention.q_lora_rank", u32(config.q_lora_rank));  // llama.cpp wants the 0, too
  set("attention.kv_lora_rank", u32(latent));
  set("attention.key_length", u32(latent + rope));
  set("attention.value_length", u32(latent));
  set("attention.key_length_mla", u32(config.qk_nope_head_dim + rope));
  set("attention.value_length_mla", u32(config.v_head_dim));
  set("rope.dimension_count", u32(rope));
  if (config.n_routed_experts == 0) return;
  set("leading_dense_block_count", u32(config.first_k_dense_replace));
  set("expert_feed_forward_length", u32(config.moe_intermediate_size));
  set("expert_count", u32(config.n_routed_experts));
  set("expert_used_count", u32(config.num_experts_per_tok));
  set("expert_shared_count", u32(config.n_shared_experts));
  set("expert_weights_scale", static_cast<float>(config.routed_scaling_factor));
  set("expert_weights_norm", config.norm_topk_prob);
  set("expert_gating_func", std::uint32_t{config.scoring_func == "sigmoid" ? 2u : 1u});
  set("expert_group_count", u32(config.routing().groups));
  set("expert_group_used_count", u32(config.routing().groups_per_token));
}

void describe(const ModelConfig& config, std::int64_t modules, GgufMetadataBuilder& metadata) {
  const std::string prefix = architecture_of(config) + ".";
  const auto set = [&](std::string_view key, auto value) {
    metadata.set(prefix + std::string(key), value);
  };
  set("block_count", u32(config.num_hidden_layers + modules));
  if (modules > 0) set("nextn_predict_layers", u32(modules));
  set("context_length", u32(config.max_position_embeddings));
  set("embedding_length", u32(config.hidden_size));
  set("feed_forward_length", u32(config.intermediate_size));
  set("attention.head_count", u32(config.num_attention_heads));
  set("attention.layer_norm_rms_epsilon", static_cast<float>(config.rms_norm_eps));
  set("rope.freq_base", static_cast<float>(config.rope_theta));
  set("vocab_size", u32(config.vocab_size));
  if (config.has_latent_attention()) {
    describe_latent(config, prefix, metadata);
  } else {
    set("attention.head_count_kv", u32(config.num_key_value_heads));
    set("attention.key_length", u32(config.head_dim));
    set("attention.value_length", u32(config.head_dim));
    set("rope.dimension_count", u32(config.head_dim));
  }
  if (const YarnScaling* yarn = std::get_if<YarnScaling>(&config.rope_scaling)) {
    metadata.set(prefix + "rope.scaling.type", std::string_view("yarn"));
    set("rope.scaling.factor", static_cast<float>(yarn->factor));
    set("rope.scaling.original_context_length", u32(yarn->original_max_position_embeddings));
    set("rope.scaling.yarn_beta_fast", static_cast<float>(yarn->beta_fast));
    set("rope.scaling.yarn_beta_slow", static_cast<float>(yarn->beta_slow));
    if (config.has_latent_attention()) {
      set("rope.scaling.yarn_log_multiplier", static_cast<float>(0.1 * yarn->mscale_all_dim));
    } else if (const double own = 0.1 * std::log(yarn->factor) + 1.0;
               std::abs(yarn->attention_factor - own) > 1e-6 * own) {
      set("rope.scaling.attn_factor", static_cast<float>(yarn->attention_factor / own));
    }
  }
}

void describe(const text::Tokenizer& tokenizer, std::int64_t vocab_size, std::string_view pre,
              GgufMetadataBuilder& metadata) {
  const text::TokenizerSpec& spec = tokenizer.spec();
  metadata.set("tokenizer.ggml.model", std::string_view("gpt2"));
  metadata.set("tokenizer.ggml.pre",
               pre.empty() ? gguf_pre_tokenizer_name(spec) : std::string(pre));
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types;
  for (std::int64_t id = 0; id < vocab_size; ++id) {
    const text::AddedToken* added = tokenizer.added_token(static_cast<std::int32_t>(id));
    const bool known = id < std::ssize(spec.vocab);
    if (added != nullptr) {
      tokens.push_back(added->content);
      types.push_back(added->is_control() ? 3 : 4);
    } else if (known && spec.vocab[static_cast<std::size_t>(id)].in_model) {
      const text::VocabEntry& entry = spec.vocab[static_cast<std::size_t>(id)];
      tokens.push_back(entry.byte_level ? text::to_byte_alphabet(entry.bytes) : entry.bytes);
      types.push_back(1);
    } else {
      tokens.push_back(fmt::format("[PAD{}]", id));
      types.push_back(5);
    }
  }
  std::vector<std::string> merges;
  for (const auto& [left, right] : spec.merges) {
    merges.push_back(fmt::format("{} {}", tokens[static_cast<std::size_t>(left)],
                                 tokens[static_cast<std::size_t>(right)]));
  }
  metadata.set("tokenizer.ggml.tokens", tokens);
  metadata.set("tokenizer.ggml.token_type", types);
  metadata.set("tokenizer.ggml.merges", merges);
  const auto set_id = [&](std::string_view key, const std::optional<std::int32_t>& id) {
    if (id) metadata.set(key, static_cast<std::uint32_t>(*id));
  };
  set_id("tokenizer.ggml.bos_token_id", spec.bos);
  set_id("tokenizer.ggml.eos_token_id", spec.eos);
  set_id("tokenizer.ggml.padding_token_id", spec.pad);
  metadata.set("tokenizer.ggml.add_bos_token", !spec.prefix.empty());
  metadata.set("tokenizer.ggml.add_eos_token", false);
}

// One tensor of the file and what it is made of.
struct Item {
  GgufTensorSpec spec;
  GgmlType wanted;
  // Gives the values piece by piece, in order.
  std::function<void(const std::function<void(std::span<const float>)>&)> produce;
  // The weights that lie in the tensor one after the other, if it holds them as they are, but for
  // the rows of `pair_heads` heads in Llama's order.
  std::vector<std::string> weights = {};
  Shape weight_shape = {};
  std::int64_t pair_heads = 0;

  std::int64_t rows() const { return spec.shape[spec.shape.size() - 2]; }
  std::int64_t columns() const { return spec.shape.back(); }
};

// Whether products read the tensor from panels. A tied embedding is the output head as well.
bool is_multiplied(std::string_view name, bool tied) {
  const auto module = module_of(name).first;
  if (module == "token_embd") return tied;
  return module != "ffn_gate_inp" && module != "attn_kv_b" && module != "attn_k_b" &&
         module != "attn_v_b";
}

// Hugging Face's halves of a head to llama's neighbouring pairs: the inverse of halves_from_pairs.
template <typename T>
AlignedBuffer<T> pairs_from_halves(std::int64_t heads, std::int64_t head_dim,
                                   std::span<const T> values) {
  const std::int64_t columns = std::ssize(values) / (heads * head_dim);
  AlignedBuffer<T> pairs(values.size(), Fill::none);
  for (std::int64_t head = 0; head < heads; ++head) {
    for (std::int64_t row = 0; row < head_dim; ++row) {
      const std::int64_t half = row / (head_dim / 2), pair = row % (head_dim / 2);
      std::copy_n(values.data() + (head * head_dim + row) * columns, columns,
                  pairs.data() + (head * head_dim + 2 * pair + half) * columns);
    }
  }
  return pairs;
}

class Exporter {
 public:
  Exporter(const WeightSource& weights, const GgufRecipe& recipe, bool panels)
      : weights_(weights), config_(weights.config()), recipe_(recipe), panels_(panels) {
    ModelConfig shape = config_;
    shape.num_nextn_predict_layers = gguf_prediction_modules(weights.config());
    Model model(shape, Precision::bf16);
    model.visit_weights([&](const Weight& weight) { add(weight.name, weight.shape); });
    if (std::holds_alternative<Llama3Scaling>(config_.rope_scaling)) add_rope_factors();
  }

  std::vector<Item>& items() { return items_; }

 private:
  // `weights` of `weight_shape` as in Item; the types of one of these are kept.
  Item& push(const std::string& name, std::vector<std::int64_t> shape,
             decltype(Item::produce) produce, std::vector<std::string> weights = {},
             const Shape& weight_shape = {}) {
    const bool tied = config_.tie_word_embeddings;
    GgufRecipe recipe = recipe_;
    if (recipe.keep && !weights.empty()) {
      const std::optional<StoredRows> rows = weights_.stored(weights.front(), weight_shape);
      if (rows) recipe.type = rows->type;
    }
    GgmlType type = GgmlType::f32, wanted = GgmlType::f32;
    if (shape.size() >= 2) {
      const std::int64_t layers = config_.num_hidden_layers;
      wanted = gguf_wanted_type(recipe, name, layers, tied);
      type = gguf_type_of(recipe, name, shape.back(), layers, tied);
    }
    const bool in_panels =
        panels_ && shape.size() >= 2 && panels_keep(type) && is_multiplied(name, tied);
    return items_.emplace_back(Item{{name, type, std::move(shape), in_panels},
                                    wanted,
                                    std::move(produce),
                                    std::move(weights),
                                    weight_shape});
  }

  void add(const std::string& name, const Shape& shape) {
    const GgufName target = gguf_name_of(name);
    if (target.slice > 0) return;  // written with the first
    if (target.slice == 0) return add_experts(name, target.name, shape);
    if (target.name.ends_with("attn_kv_b.weight")) return add_latent_up(name, target.name, shape);
    std::vector<std::int64_t> extents;
    for (int axis = 0; axis < shape.rank(); ++axis) extents.push_back(shape[axis]);
    const bool llama = config_.model_type == "llama";
    const bool query = llama && target.name.find(".attn_q.") != std::string::npos;
    const bool key = llama && target.name.find(".attn_k.") != std::string::npos;
    std::int64_t heads = query ? config_.num_attention_heads
                         : key ? config_.num_key_value_heads
                               : 0;
    std::vector<std::string> weights;
    if (shape.rank() == 2) weights = {name};
    Item& item = push(target.name, std::move(extents), {}, std::move(weights), shape);
    if (item.spec.panels) heads = 0;  // those are for us alone
    item.pair_heads = heads;
    item.produce = [this, name, shape, heads](const auto& take) {
      AlignedBuffer<float> values = weights_.read(name, shape);
      if (heads > 0) {
        values = pairs_from_halves<float>(heads, config_.head_dim, values.span());
      }
      take(values.span());
    };
  }

  void add_experts(const std::string& first, const std::string& target, const Shape& shape) {
    const std::size_t at = first.find(".experts.0.") + std::string_view(".experts.").size();
    std::vector<std::string> names;
    for (std::int64_t expert = 0; expert < config_.n_routed_experts; ++expert) {
      names.push_back(first);
      names.back().replace(at, 1, fmt::to_string(expert));
    }
    const auto produce = [this, names, shape](const auto& take) {
      for (const std::string& name : names) take(weights_.read(name, shape).span());
    };
    push(target, {config_.n_routed_experts, shape[0], shape[1]}, produce, std::move(names), shape);
  }

  // The key half transposed per head, [heads, latent, nope], and the value half.
  void add_latent_up(const std::string& name, const std::string& target, const Shape& shape) {
    const std::string layer =
        target.substr(0, target.size() - std::string_view("kv_b.weight").size());
    const std::int64_t heads = config_.num_attention_heads, latent = config_.kv_lora_rank;
    const std::int64_t nope = config_.qk_nope_head_dim, value = config_.v_head_dim;
    const auto half = [&](const char* other) {
      std::string weight = name;
      return std::vector{weight.replace(weight.find("kv_b_proj"), 9, other)};
    };
    const auto keys = [=, this](const auto& take) {
      const AlignedBuffer<float> joined = weights_.read(name, shape);
      std::vector<float> transposed(static_cast<std::size_t>(latent * nope));
      for (std::int64_t head = 0; head < heads; ++head) {
        const float* from = joined.data() + head * (nope + value) * latent;
        for (std::int64_t row = 0; row < nope; ++row) {
          for (std::int64_t column = 0; column < latent; ++column) {
            transposed[static_cast<std::size_t>(column * nope + row)] = from[row * latent + column];
          }
        }
        take(transposed);
      }
    };
    const auto values = [=, this](const auto& take) {
      const AlignedBuffer<float> joined = weights_.read(name, shape);
      for (std::int64_t head = 0; head < heads; ++head) {
        const float* from = joined.data() + (head * (nope + value) + nope) * latent;
        take(std::span(from, static_cast<std::size_t>(value * latent)));
      }
    };
    push(layer + "k_b.weight", {heads, latent, nope}, keys, half("k_b_proj"),
         Shape({heads, latent, nope}));
    push(layer + "v_b.weight", {heads, value, latent}, values, half("v_b_proj"),
         Shape({heads, value, latent}));
  }

  void add_rope_factors() {
    const std::vector<float> plain = rope_frequencies(config_.head_dim, config_.rope_theta, {});
    const std::vector<float> scaled =
        rope_frequencies(config_.head_dim, config_.rope_theta, config_.rope_scaling);
    std::vector<float> factors(plain.size());
    for (std::size_t i = 0; i < plain.size(); ++i) factors[i] = plain[i] / scaled[i];
    const auto count = static_cast<std::int64_t>(factors.size());
    push("rope_freqs.weight", {count}, [factors](const auto& take) { take(factors); });
  }

  const WeightSource& weights_;
  const ModelConfig& config_;
  const GgufRecipe& recipe_;
  bool panels_;
  std::vector<Item> items_;
};

// Writes tensors' matrices, as blocks that come in rows of Hugging Face's order.
class MatrixWriter {
 public:
  MatrixWriter(Backend& backend, const WeightSource& weights, GgufWriter& writer)
      : backend_(backend), weights_(weights), writer_(writer) {}

  void append(const Item& item, std::span<const std::byte> blocks) {
    if (!item.spec.panels) {
      writer_.append(item.spec.name, blocks);
      return;
    }
    PackedMatrix packed;
    pack_stored(backend_, item.spec.type, blocks, item.rows(), item.columns(),
                QuantizedProduct::int8, packed);
    writer_.append(item.spec.name,
                   std::span(packed.quantized(), static_cast<std::size_t>(packed.bytes())));
  }

  // What the source has in the tensor's type already is written as it is; false if there is other.
  bool copy(const Item& item) {
    const auto can_copy = [&](const std::string& name) {
      const std::optional<StoredRows> rows = weights_.stored(name, item.weight_shape);
      return rows && rows->type == item.spec.type &&
             !(rows->panels && item.weight_shape.rank() != 2);
    };
    if (item.weights.empty() || !std::ranges::all_of(item.weights, can_copy)) return false;
    for (const std::string& name : item.weights) {
      copy(item, *weights_.stored(name, item.weight_shape));
    }
    return true;
  }

 private:
  void copy(const Item& item, const StoredRows& stored) {
    if (stored.panels && item.spec.panels) {
      writer_.append(item.spec.name, stored.bytes);
      return;
    }
    AlignedBuffer<std::byte> unpacked;
    std::span<const std::byte> blocks = stored.bytes;
    if (stored.panels) blocks = stored.rows(item.weight_shape, 0, item.rows(), unpacked);
    if (item.pair_heads == 0) return append(item, blocks);
    const std::int64_t head_dim = item.rows() / item.pair_heads;
    append(item, pairs_from_halves(item.pair_heads, head_dim, blocks).span());
  }

  Backend& backend_;
  const WeightSource& weights_;
  GgufWriter& writer_;
};

// Of a file whose types are those of its source: that of the recipe with most of its values.
std::uint32_t kept_file_type(const std::vector<Item>& items) {
  std::map<GgmlType, std::int64_t> values;
  for (const Item& item : items) {
    if (item.spec.shape.size() >= 2) values[item.spec.type] += item.rows() * item.columns();
  }
  const bool mixed = values.contains(GgmlType::q4_k) && values.contains(GgmlType::q6_k);
  const auto most = std::ranges::max_element(
      values, {}, [](const auto& type_and_count) { return type_and_count.second; });
  const GgmlType type = mixed ? GgmlType::q4_k : most->first;
  const auto recipe = std::ranges::find_if(kRecipes, [&](const NamedRecipe& known) {
    return known.type == type && known.mixed == mixed && !known.keep;
  });
  R1_CHECK(recipe != kRecipes.end(), "type {}", name_of(type));
  return recipe->file_type;
}

}  // namespace

GgufRecipe parse_gguf_recipe(std::string_view name) {
  std::string upper;
  for (const char c : name) upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string choices;
  for (const NamedRecipe& recipe : kRecipes) {
    if (recipe.name == upper) return {upper, recipe.type, recipe.mixed, recipe.keep};
    choices += fmt::format("{}{}", choices.empty() ? "" : ", ", recipe.name);
  }
  throw Error("type", fmt::format("\"{}\" is not a type of GGUF weights", name), choices);
}

GgmlType gguf_wanted_type(const GgufRecipe& recipe, std::string_view gguf_name, std::int64_t layers,
                          bool tied) {
  const auto [module, layer] = module_of(gguf_name);
  if (module == "ffn_gate_inp") return GgmlType::f32;  // the router
  if (!recipe.mixed) return recipe.type;
  const bool output = module == "output" || (tied && module == "token_embd");
  const bool sensitive = module == "attn_v" || module == "ffn_down" || module == "ffn_down_exps";
  return output || (sensitive && gets_more_bits(layer, layers)) ? GgmlType::q6_k : recipe.type;
}

GgmlType gguf_type_of(const GgufRecipe& recipe, std::string_view gguf_name, std::int64_t columns,
                      std::int64_t layers, bool tied) {
  const GgmlType wanted = gguf_wanted_type(recipe, gguf_name, layers, tied);
  for (const GgmlType type : {wanted, GgmlType::q8_0}) {
    if (columns % static_cast<std::int64_t>(block_size(type).values) == 0) return type;
  }
  return GgmlType::f16;
}

std::int64_t gguf_prediction_modules(const ModelConfig& config) {
  return config.n_routed_experts > 0 ? config.num_nextn_predict_layers : 0;
}

double WrittenTensor::relative_error() const {
  return squares > 0.0 ? std::sqrt(difference / squares) : 0.0;
}

std::vector<WrittenTensor> write_gguf(const fs::path& path, const WeightSource& weights,
                                      const text::Tokenizer& tokenizer, const GgufExport& options) {
  const ModelConfig& config = weights.config();
  if (tokenizer.vocab_size() > config.vocab_size) {
    throw Error("tokenizer",
                fmt::format("it has {} tokens, the model only {}", tokenizer.vocab_size(),
                            config.vocab_size),
                "its files belong to different models");
  }
  const auto recipe = std::find_if(kRecipes.begin(), kRecipes.end(), [&](const NamedRecipe& known) {
    return known.name == options.recipe.name;
  });
  R1_CHECK(recipe != kRecipes.end(), "recipe {}", options.recipe.name);
  GgufMetadataBuilder metadata;
  metadata.set("general.architecture", architecture_of(config));
  metadata.set("general.type", std::string_view("model"));
  metadata.set("general.name", options.name);
  Exporter exporter(weights, options.recipe, options.panels);
  metadata.set("general.file_type",
               recipe->keep ? kept_file_type(exporter.items()) : recipe->file_type);
  metadata.set("general.quantization_version", std::uint32_t{2});
  describe(config, gguf_prediction_modules(weights.config()), metadata);
  describe(tokenizer, config.vocab_size, options.pre_tokenizer, metadata);
  if (!options.chat_template.empty()) {
    metadata.set("tokenizer.chat_template", options.chat_template);
  }
  if (options.describe_use) options.describe_use(metadata);

  std::vector<GgufTensorSpec> specs;
  for (const Item& item : exporter.items()) specs.push_back(item.spec);
  GgufWriter writer(path, metadata, std::move(specs));
  Backend backend(options.threads);
  MatrixWriter matrices(backend, weights, writer);
  std::vector<WrittenTensor> written;
  for (const Item& item : exporter.items()) {
    WrittenTensor& tensor = written.emplace_back();
    tensor = {item.spec.name, item.spec.type, item.wanted, item.spec.panels};
    if (options.progress) options.progress(std::ssize(written), std::ssize(exporter.items()));
    const std::string where = fmt::format("{}: tensor \"{}\"", path.native(), item.spec.name);
    if (matrices.copy(item)) continue;
    item.produce([&](std::span<const float> values) {
      const EncodedValues encoded = encode_values(backend, item.spec.type, values, where);
      matrices.append(item, encoded.blocks);
      tensor.squares += encoded.squares;
      tensor.difference += encoded.difference;
    });
  }
  writer.commit();
  return written;
}

}  // namespace r1
