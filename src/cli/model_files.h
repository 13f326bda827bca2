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

// Writes the model at `source` as a GGUF file: weights, vocabulary, chat template, and how it wants
// to be sampled. Throws Error where the target exists.
WrittenModel write_gguf_model(const std::filesystem::path& source,
                              const std::filesystem::path& target, const std::string& type,
                              int threads);

// The same as a Hugging Face directory in F32 or BF16.
WrittenModel write_hf_model(const std::filesystem::path& source,
                            const std::filesystem::path& target, const std::string& type);

// A line for each tensor, and the notes.
std::string to_table(const WrittenModel& model);
nlohmann::ordered_json tensors_to_json(const std::vector<WrittenTensor>& tensors);

}  // namespace r1::cli
