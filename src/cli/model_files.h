#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/gguf_export.h"

// Models from files to files, for the commands that convert them.
namespace r1::cli {

struct WrittenModel {
  std::vector<WrittenTensor> tensors;  // of a GGUF file
  std::vector<std::string> notes;      // what the target does not have, or has otherwise
};

struct GgufTarget {
  std::string type;     // of weights: "Q8_0", ..., or "KEEP"
  bool panels = false;  // for this program alone, which starts at once from them
  int threads = 1;
};
// Throws UsageError for a type that panels do not keep.
void check_target_type(const GgufTarget& target);

// Writes the model at `source` as a GGUF file: weights, vocabulary, chat template, and how it wants
// to be sampled. Throws Error where the file exists.
WrittenModel write_gguf_model(const std::filesystem::path& source,
                              const std::filesystem::path& file, const GgufTarget& target);

// The same as a Hugging Face directory in F32 or BF16.
WrittenModel write_hf_model(const std::filesystem::path& source,
                            const std::filesystem::path& target, const std::string& type);

// A line for each tensor, and the notes.
std::string to_table(const WrittenModel& model);
nlohmann::ordered_json tensors_to_json(const std::vector<WrittenTensor>& tensors);

}  // namespace r1::cli
