#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "formats/gguf_metadata.h"
#include "formats/gguf_writer.h"
#include "text/chat_template.h"

namespace r1::reasoning {

// How a model wants to be used, beside its weights: generation_config.json of a directory, or the
// keys of a GGUF file. It may be absent, and so may each field.
struct GenerationConfig {
  // "r1_prompt_template", our own key: one of the plain-text forms of R1-Zero.
  std::optional<text::TemplateKind> r1_zero_form;
  std::vector<std::int32_t> end_ids;  // "eos_token_id": one or several
  // "temperature", "top_k", "top_p"; "do_sample": false is temperature 0.
  std::optional<float> temperature, top_p;
  std::optional<std::int64_t> top_k;

  bool recommends_sampling() const { return temperature || top_p || top_k; }
  void apply(SamplingParams& sampling) const;
};

// Throws Error naming `where` for a mistyped or impossible field.
GenerationConfig parse_generation_config(std::string_view json, std::string_view where);
// The keys that llama.cpp has for it (general.sampling.*, tokenizer.ggml.{eos,eot,eom}_token_id),
// and our own.
GenerationConfig generation_config_of(const GgufMetadata& metadata, std::string_view where);

// The inverses. A GGUF file has keys for three end ids; the first is the tokenizer's own, `eos`,
// which is written with the vocabulary.
std::string write_generation_config(const GenerationConfig& config);
void describe(const GenerationConfig& config, std::optional<std::int32_t> eos,
              GgufMetadataBuilder& metadata);

GenerationConfig read_generation_config(const std::filesystem::path& model);

// "eos_token_id" of a directory's config.json, for where generation_config.json has none.
std::vector<std::int32_t> read_config_end_ids(const std::filesystem::path& directory);

}  // namespace r1::reasoning
