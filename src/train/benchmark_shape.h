#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "train/packing.h"

namespace r1::train {

// What `r1 bench train` and `r1 bench sample` measure: a model and the batches it is given. The
// weights are random; speed does not depend on them.
struct BenchmarkShape {
  std::string name;
  ModelConfig model;
  std::int64_t tokens_per_step = 0, micro_batch_tokens = 0;
  std::int64_t shortest_document = 0, longest_document = 0;  // tokens
  std::int64_t prompt = 0, completion = 0;                   // tokens, when sampling
};

// "nano": the model of recipes/nano/base.yaml. "100m": DeepSeek-V3's structure with about 100
// million active parameters, 12 layers of width 768. Throws UsageError for another name.
BenchmarkShape benchmark_shape(std::string_view name);

// Lengths of one step's documents: all lengths from the shortest to the longest in an even, fixed
// mixture, the last one cut so that they sum up to tokens_per_step.
std::vector<std::int64_t> document_lengths(const BenchmarkShape& shape);
// Documents of these lengths, of random ids.
std::vector<Sequence> random_documents(const BenchmarkShape& shape);

}  // namespace r1::train
