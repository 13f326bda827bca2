#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_writer.h"
#include "model/weight_source.h"
#include "quant/ggml_type.h"
#include "text/tokenizer.h"

namespace r1 {

// Which type each matrix of a file gets: one for all, or llama.cpp's mixture Q4_K_M, which keeps
// the output and some of the value and down projections in Q6_K, or the one that the source has it
// in. Vectors and the router stay F32.
struct GgufRecipe {
  std::string name;  // "Q8_0", "Q4_K_M", "KEEP", ...
  GgmlType type;     // with `keep`, of matrices whose type no GGUF file has
  bool mixed = false, keep = false;
};
// In upper or lower case. Throws Error naming the choices.
GgufRecipe parse_gguf_recipe(std::string_view name);

// The type that a recipe wants for one matrix [rows, columns] of a model with `layers` layers.
GgmlType gguf_wanted_type(const GgufRecipe& recipe, std::string_view gguf_name, std::int64_t layers,
                          bool tied);
// The one it gets: rows that are not whole blocks fall back to Q8_0, then to F16.
GgmlType gguf_type_of(const GgufRecipe& recipe, std::string_view gguf_name, std::int64_t columns,
                      std::int64_t layers, bool tied);

// A tensor of a written file.
struct WrittenTensor {
  std::string name;
  GgmlType type;
  GgmlType wanted;  // another than type where its rows are no whole blocks of that
  bool panels = false;
  double squares = 0.0, difference = 0.0;  // sums, of the values and of what the type lost
  // The root mean square of the differences over that of the values.
  double relative_error() const;
};

// How many of a model's prediction modules a file gets: the format has those with experts.
std::int64_t gguf_prediction_modules(const ModelConfig& config);

struct GgufExport {
  std::string name;                // general.name
  std::string chat_template = {};  // empty: none
  // tokenizer.ggml.pre; empty: the name of the tokenizer's rules.
  std::string pre_tokenizer = {};
  // Adds further metadata; may be empty.
  std::function<void(GgufMetadataBuilder&)> describe_use = {};
  GgufRecipe recipe;
  // Matrices that are multiplied lie in panels (formats/gguf_panels.h), where those keep the type.
  bool panels = false;
  int threads = 1;  // to encode with
  // Told how many tensors are written, of how many; may be empty.
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
};

// Writes a model as a GGUF file that llama.cpp reads, unless it has panels, and tells what the
// types lost, in the file's order. Throws Error where the format has no place for something:
// splitting rules without a name are refused.
std::vector<WrittenTensor> write_gguf(const std::filesystem::path& path,
                                      const WeightSource& weights, const text::Tokenizer& tokenizer,
                                      const GgufExport& options);

}  // namespace r1
