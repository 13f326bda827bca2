#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "model/model.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace r1::eval {

// A model directory with all that is needed to ask it questions.
struct ReasoningModel {
  std::filesystem::path directory;
  std::unique_ptr<Model> model;  // for inference
  text::Tokenizer tokenizer;
  text::TemplateKind prompt_template;
  bool names_template;                // false: the nano template is only a guess
  std::vector<std::int32_t> end_ids;  // drawing one ends the completion
  SamplingParams sampling;            // what the model's makers recommend

  // The question in the model's template, as the model was trained to read it.
  std::vector<std::int32_t> encode_prompt(std::string_view question) const;
};

// What generation_config.json adds to the weights. It may be absent, and so may each field.
struct GenerationConfig {
  // "r1_prompt_template", our own key; without it the nano template.
  text::TemplateKind prompt_template = text::TemplateKind::kR1ZeroNano;
  bool names_template = false;        // whether the file has that key
  std::vector<std::int32_t> end_ids;  // "eos_token_id": one or several
  SamplingParams sampling;            // "temperature", "top_k", "top_p"; "do_sample": false is 0
};

// Throws Error naming `where` for a mistyped or impossible field.
GenerationConfig parse_generation_config(std::string_view json, std::string_view where);

// That of a model directory; the defaults where it has none, and for a GGUF file.
GenerationConfig read_generation_config(const std::filesystem::path& model);

// A model directory or a GGUF file. Throws Error naming the file: a part is missing, or the parts
// do not belong together.
ReasoningModel load_reasoning_model(Backend& backend, const std::filesystem::path& directory);

}  // namespace r1::eval
