#pragma once

#include <cstdint>

#include "model/config.h"

// How much arithmetic a pass asks for: two operations per multiply-add of its matrix products and
// of attention, in the absorbed form of MLA. Norms, routing, rotations, the optimiser and what a
// backward computes a second time to save memory are not counted.
namespace r1::train {

// Multiply-adds of one token's way through the layers, without attention over other tokens.
std::int64_t layer_macs(const ModelConfig& config);
// The same through the prediction modules, without their use of the head.
std::int64_t prediction_macs(const ModelConfig& config);
// Of one token's logits.
std::int64_t head_macs(const ModelConfig& config);
// Of one layer's attention from one token to one key.
std::int64_t attention_macs(const ModelConfig& config);

// Keys that `rows` tokens in a row see, the first of them at position `start`.
std::int64_t visible_keys(std::int64_t start, std::int64_t rows);

}  // namespace r1::train
