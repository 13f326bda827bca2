#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "model/gguf_export.h"
#include "model/weight_source.h"

namespace r1 {

// A model that is not there: random matrices of deviation 0.02 in the types that a GGUF file of the
// recipe has, unit norms, zero biases. For measuring speed and memory, which do not depend on the
// values. Matrices of a type are views of the same bytes, so that large models are made at once.
class RandomWeights : public WeightSource {
 public:
  RandomWeights(const ModelConfig& config, GgufRecipe recipe);

  const ModelConfig& config() const override { return config_; }
  StoredTensors contents() const override;
  AlignedBuffer<float> read(const std::string& name, const Shape& shape) const override;
  std::optional<StoredRows> stored(const std::string& name, const Shape& shape) const override;

 private:
  GgmlType type_of(const std::string& name, const Shape& shape) const;

  ModelConfig config_;
  GgufRecipe recipe_;
  std::map<GgmlType, AlignedBuffer<std::byte>> pools_;  // as large as a type's largest matrix
};

// Bytes of a model's matrices as its source stores them: all, and those that one token reads (of
// the experts its share; the embedding's one row does not count).
struct WeightBytes {
  std::int64_t total = 0;
  double per_token = 0;
};
WeightBytes weight_bytes(const WeightSource& source);

}  // namespace r1
