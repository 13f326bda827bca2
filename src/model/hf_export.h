#pragma once

#include <filesystem>

#include "model/weight_source.h"

namespace r1 {

// Writes config.json and model.safetensors into an existing directory, weight by weight, so that a
// model larger than memory can be converted. BF16, or F32 in f32 precision; the routing bias always
// F32. Prediction modules come along where the source has them.
void write_hf(const std::filesystem::path& directory, const WeightSource& weights,
              Precision precision);

}  // namespace r1
