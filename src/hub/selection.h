#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hub/model_name.h"

// Which of a repository's files make a model.
namespace r1::hub {

// A model in a GGUF file, or in several that belong together ("-00001-of-00003.gguf").
struct GgufChoice {
  std::string name;                // without the number of the part and the ending
  std::vector<std::string> parts;  // paths, in order
};
std::vector<GgufChoice> gguf_choices(std::span<const std::string> files);

// The choice that `wanted` names: a path of a file (any of its parts), or a quantisation that is
// part of the name ("q4_k_m" of "Model-Q4_K_M.gguf"). With an empty `wanted`, the only one there
// is. Throws Error naming `where` and the choices.
GgufChoice choose_gguf(std::span<const std::string> files, std::string_view wanted,
                       std::string_view where);

// Whether a directory with these files is a model in Hugging Face's layout.
bool has_safetensors(std::span<const std::string> files);

// What to fetch of a repository for a name: the file that it names; else all that a model in
// safetensors needs; else its only GGUF file. Throws Error where there is nothing or too much to
// choose from.
std::vector<std::string> files_to_pull(std::span<const std::string> files, const ModelName& name);

}  // namespace r1::hub
