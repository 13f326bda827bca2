#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "model/weight_source.h"
#include "quant/ggml_type.h"
#include "text/tokenizer.h"

namespace r1 {

// Which type each matrix of a file gets: one for all, or llama.cpp's mixture Q4_K_M, which keeps
// the output and some of the value and down projections in Q6_K. Vectors and the router stay F32.
struct GgufRecipe {
  std::string name;  // "Q8_0", "Q4_K_M", ...
  GgmlType type;
  bool mixed = false;
};
// In upper or lower case. Throws Error naming the choices.
GgufRecipe parse_gguf_recipe(std::string_view name);

// The type of one matrix [rows, columns] of a model with `layers` layers: rows that are not whole
// blocks fall back to Q8_0, then to F16.
GgmlType gguf_type_of(const GgufRecipe& recipe, std::string_view gguf_name, std::int64_t columns,
                      std::int64_t layers, bool tied);

struct GgufExport {
  std::string name;                // general.name
  std::string chat_template = {};  // empty: none
  GgufRecipe recipe;
  // Told each tensor written, with its values before and after; may be empty.
  std::function<void(const std::string& tensor, GgmlType type, std::span<const float> values)>
      written = {};
};

// Writes a model as a GGUF file that llama.cpp reads. Throws Error where the format has no place
// for something: prediction modules are left out, splitting rules without a name are refused.
void write_gguf(const std::filesystem::path& path, const WeightSource& weights,
                const text::Tokenizer& tokenizer, const GgufExport& options);

}  // namespace r1
