#pragma once

#include <vector>

#include "model/config.h"

namespace r1 {

// The angle per position of each rotated pair, [dim / 2], in fp32 as the reference computes it;
// YaRN blends interpolated and original frequencies between two correction dimensions
// (deepseek-ai/DeepSeek-V3, precompute_freqs_cis).
std::vector<float> rope_frequencies(std::int64_t dim, double theta,
                                    const std::optional<YarnScaling>& scaling);

// cos and sin of positions [0, positions) for DeepSeek's interleaved layout.
RopeTable make_rope_table(const ModelConfig& config, std::int64_t positions);

}  // namespace r1
