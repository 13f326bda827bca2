#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "model/gguf_export.h"
#include "model/weight_source.h"

namespace r1 {

// A model that is not there: random matrices of deviation 0.02, unit norms, zero biases. For
// measuring speed and memory, which do not depend on the values. Matrices of a type are views of
// the same bytes, so that large models are made at once.
class RandomWeights : public WeightSource {
 public:
  // In the types that a GGUF file of the recipe has; or, without one, in those of DeepSeek-V3's own
  // checkpoint: FP8 for all matrices of the layers but the routers, BF16 for the rest.
  RandomWeights(const ModelConfig& config, std::optional<GgufRecipe> recipe);
  // "fp8" is the checkpoint, other names are recipes. Throws Error naming the choices.
  static std::unique_ptr<RandomWeights> of_type(const ModelConfig& config, std::string_view type);

  const ModelConfig& config() const override { return config_; }
  StoredTensors contents() const override;
  AlignedBuffer<float> read(const std::string& name, const Shape& shape) const override;
  std::optional<StoredRows> stored(const std::string& name, const Shape& shape) const override;

 private:
  // None: FP8.
  std::optional<GgmlType> type_of(const std::string& name, const Shape& shape) const;

  ModelConfig config_;
  std::optional<GgufRecipe> recipe_;
  // As large as a type's largest matrix.
  std::map<std::optional<GgmlType>, AlignedBuffer<std::byte>> pools_;
};

// Bytes of a model's matrices as its source stores them: all, and those that one token reads (of
// the experts its share; the embedding's one row does not count).
struct WeightBytes {
  std::int64_t total = 0;
  double per_token = 0;
};
WeightBytes weight_bytes(const WeightSource& source);

}  // namespace r1
