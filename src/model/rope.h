#pragma once

#include <vector>

#include "model/config.h"

namespace r1 {

// The angle per position of each rotated pair, [dim / 2], in fp32 as the references compute it.
// YaRN blends interpolated and original frequencies between two correction dimensions
// (deepseek-ai/DeepSeek-V3, precompute_freqs_cis), Llama 3 between two wavelengths (transformers,
// _compute_llama3_parameters).
std::vector<float> rope_frequencies(std::int64_t dim, double theta, const RopeScaling& scaling);

// cos and sin of positions [0, positions): DeepSeek rotates neighbouring pairs, the dense families
// the halves of a head, times YaRN's attention factor.
RopeTable make_rope_table(const ModelConfig& config, std::int64_t positions);
// Positions of the table of a model that has come to `positions`: it grows in steps, so that a long
// context is not paid for before it is used.
std::int64_t rope_positions(const ModelConfig& config, std::int64_t positions);
// Adds what a table of the same config lacks for positions [0, positions).
void extend_rope_table(const ModelConfig& config, std::int64_t positions, RopeTable& table);

}  // namespace r1
