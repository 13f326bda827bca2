#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"

namespace r1 {

// The shapes of published models, for measuring and planning without their weights:
// "r1-distill-qwen-1.5b", "r1-distill-qwen-7b", "r1-distill-llama-8b", "deepseek-v2-lite", and
// "r1-layer": one layer with experts of the 671B model, with a small vocabulary.
// Throws Error naming the choices.
ModelConfig published_shape(std::string_view name);
std::vector<std::string> published_shape_names();

}  // namespace r1
