#include "model/random_weights.h"

#include <algorithm>

#include "base/rng.h"
#include "model/gguf_weights.h"
#include "model/model.h"
#include "quant/ggml_blocks.h"
#include "tensor/dtype.h"

namespace r1 {
namespace {

constexpr std::size_t kDistinctValues = std::size_t{1} << 20;

constexpr float kDeviation = 0.02f;
// The largest of a block's values is about four deviations, and 448 the largest code.
constexpr float kFp8Scale = 4.0f * kDeviation / 448.0f;

void encode(std::optional<GgmlType> type, std::span<const float> values, std::span<std::byte> to) {
  if (type) return quantize(*type, values, to, "random weights");
  for (std::size_t i = 0; i < values.size(); ++i) {
    to[i] = static_cast<std::byte>(round_to_f8_e4m3(values[i] / kFp8Scale).bits);
  }
}

// So many bytes of a type; the values repeat after a while.
AlignedBuffer<std::byte> random_bytes(std::optional<GgmlType> type, std::size_t bytes) {
  std::vector<float> values(kDistinctValues);
  Rng rng(1, 0, 0);
  for (float& value : values) value = kDeviation * rng.normal();
  std::vector<std::byte> encoded(StoredRows{type, {}}.row_bytes(std::int64_t{kDistinctValues}));
  encode(type, values, encoded);
  AlignedBuffer<std::byte> pool(bytes, Fill::none);
  for (std::size_t at = 0; at < bytes; at += encoded.size()) {
    std::copy_n(encoded.begin(), std::min(encoded.size(), bytes - at), pool.begin() + at);
  }
  return pool;
}

std::size_t matrix_bytes(std::optional<GgmlType> type, const Shape& shape) {
  return static_cast<std::size_t>(shape[0]) * StoredRows{type, {}}.row_bytes(shape[1]);
}

bool is_fp8_in_checkpoints(const std::string& name) {
  return name.starts_with("model.layers.") && !name.ends_with(".mlp.gate.weight");
}

}  // namespace

RandomWeights::RandomWeights(const ModelConfig& config, std::optional<GgufRecipe> recipe)
    : config_(config), recipe_(std::move(recipe)) {
  std::map<std::optional<GgmlType>, std::size_t> largest;
  Model shape(config_, Precision::bf16);
  shape.visit_weights([&](const Weight& weight) {
    if (weight.shape.rank() != 2) return;
    const std::optional<GgmlType> type = type_of(weight.name, weight.shape);
    largest[type] = std::max(largest[type], matrix_bytes(type, weight.shape));
  });
  for (const auto& [type, bytes] : largest) pools_.emplace(type, random_bytes(type, bytes));
}

std::unique_ptr<RandomWeights> RandomWeights::of_type(const ModelConfig& config,
                                                      std::string_view type) {
  if (type == "fp8") return std::make_unique<RandomWeights>(config, std::nullopt);
  return std::make_unique<RandomWeights>(config, parse_gguf_recipe(type));
}

std::optional<GgmlType> RandomWeights::type_of(const std::string& name, const Shape& shape) const {
  if (!recipe_) {
    return is_fp8_in_checkpoints(name) ? std::nullopt : std::optional(GgmlType::bf16);
  }
  return gguf_type_of(*recipe_, gguf_name_of(name).name, shape[1], config_.num_hidden_layers,
                      config_.tie_word_embeddings);
}

StoredTensors RandomWeights::contents() const {
  StoredTensors contents;
  Model shape(config_, Precision::bf16);
  shape.visit_weights([&](const Weight& weight) {
    ++contents.count;
    const std::optional<GgmlType> type =
        weight.shape.rank() == 2 ? type_of(weight.name, weight.shape) : GgmlType::f32;
    contents.values[std::string(type ? name_of(*type) : name_of(DType::f8_e4m3))] += weight.count();
  });
  return contents;
}

AlignedBuffer<float> RandomWeights::read(const std::string& name, const Shape& shape) const {
  AlignedBuffer<float> values(static_cast<std::size_t>(shape.count()));
  if (shape.rank() == 2) {
    const StoredRows rows = *stored(name, shape);
    rows.decode(shape, 0, values.span());
  } else if (!name.ends_with("bias")) {
    std::ranges::fill(values, 1.0f);
  }
  return values;
}

std::optional<StoredRows> RandomWeights::stored(const std::string& name, const Shape& shape) const {
  if (shape.rank() != 2) return std::nullopt;
  const std::optional<GgmlType> type = type_of(name, shape);
  StoredRows rows{.type = type, .bytes = pools_.at(type).span(0, matrix_bytes(type, shape))};
  if (!type) {
    const std::int64_t blocks = fp8_blocks_of(shape[0]) * fp8_blocks_of(shape[1]);
    rows.fp8_scales = AlignedBuffer<float>(static_cast<std::size_t>(blocks), Fill::none);
    std::ranges::fill(rows.fp8_scales, kFp8Scale);
  }
  return rows;
}

WeightBytes weight_bytes(const WeightSource& source) {
  const ModelConfig& config = source.config();
  Model shape(config, Precision::bf16);
  WeightBytes bytes;
  const double share = config.n_routed_experts == 0
                           ? 0.0
                           : static_cast<double>(config.num_experts_per_tok) /
                                 static_cast<double>(config.n_routed_experts);
  shape.visit_weights([&](const Weight& weight) {
    if (weight.shape.rank() != 2) return;
    const std::optional<StoredRows> rows = source.stored(weight.name, weight.shape);
    const std::int64_t size = rows ? static_cast<std::int64_t>(rows->bytes.size())
                                   : weight.count() * std::int64_t{sizeof(bf16)};
    bytes.total += size;
    const bool embedding = weight.name.starts_with("model.embed_tokens");
    if (embedding && !config.tie_word_embeddings) return;
    const bool expert = is_routed_expert(weight.name);
    bytes.per_token += static_cast<double>(size) * (expert ? share : 1.0);
  });
  return bytes;
}

}  // namespace r1
