#include "model/random_weights.h"

#include <algorithm>

#include "base/rng.h"
#include "model/gguf_weights.h"
#include "model/model.h"
#include "quant/ggml_blocks.h"

namespace r1 {
namespace {

constexpr std::size_t kDistinctValues = std::size_t{1} << 20;

// So many bytes of blocks; the values repeat after a while.
AlignedBuffer<std::byte> random_blocks(GgmlType type, std::size_t bytes) {
  std::vector<float> values(kDistinctValues);
  Rng rng(1, 0, 0);
  for (float& value : values) value = 0.02f * rng.normal();
  const GgmlBlockSize block = block_size(type);
  std::vector<std::byte> blocks(kDistinctValues / block.values * block.bytes);
  quantize(type, values, blocks, "random weights");
  AlignedBuffer<std::byte> pool(bytes, Fill::none);
  for (std::size_t at = 0; at < bytes; at += blocks.size()) {
    std::copy_n(blocks.begin(), std::min(blocks.size(), bytes - at), pool.begin() + at);
  }
  return pool;
}

std::size_t matrix_bytes(GgmlType type, const Shape& shape) {
  return static_cast<std::size_t>(shape[0]) * StoredRows{type, {}}.row_bytes(shape[1]);
}

}  // namespace

RandomWeights::RandomWeights(const ModelConfig& config, GgufRecipe recipe)
    : config_(config), recipe_(std::move(recipe)) {
  std::map<GgmlType, std::size_t> largest;
  Model shape(config_, Precision::bf16);
  shape.visit_weights([&](const Weight& weight) {
    if (weight.shape.rank() != 2) return;
    const GgmlType type = type_of(weight.name, weight.shape);
    largest[type] = std::max(largest[type], matrix_bytes(type, weight.shape));
  });
  for (const auto& [type, bytes] : largest) pools_.emplace(type, random_blocks(type, bytes));
}

GgmlType RandomWeights::type_of(const std::string& name, const Shape& shape) const {
  return gguf_type_of(recipe_, gguf_name_of(name).name, shape[1], config_.num_hidden_layers,
                      config_.tie_word_embeddings);
}

StoredTensors RandomWeights::contents() const {
  StoredTensors contents;
  Model shape(config_, Precision::bf16);
  shape.visit_weights([&](const Weight& weight) {
    ++contents.count;
    const GgmlType type =
        weight.shape.rank() == 2 ? type_of(weight.name, weight.shape) : GgmlType::f32;
    contents.values[std::string(name_of(type))] += weight.count();
  });
  return contents;
}

AlignedBuffer<float> RandomWeights::read(const std::string& name, const Shape& shape) const {
  AlignedBuffer<float> values(static_cast<std::size_t>(shape.count()));
  if (shape.rank() == 2) {
    const StoredRows rows = *stored(name, shape);
    dequantize(rows.type, rows.bytes, values.span());
  } else if (!name.ends_with("bias")) {
    std::ranges::fill(values, 1.0f);
  }
  return values;
}

std::optional<StoredRows> RandomWeights::stored(const std::string& name, const Shape& shape) const {
  if (shape.rank() != 2) return std::nullopt;
  const GgmlType type = type_of(name, shape);
  return StoredRows{type, pools_.at(type).span(0, matrix_bytes(type, shape))};
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
