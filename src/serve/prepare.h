#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/request.h"
#include "serve/catalog.h"
#include "serve/config.h"
#include "serve/generation_request.h"
#include "text/reasoning_stream.h"

namespace r1::serve {

// A request in the engine's terms: nothing about it can be refused any more but by a lack of means.
struct PreparedRequest {
  const CatalogEntry* model = nullptr;
  std::vector<std::int32_t> prompt;
  std::vector<Request> samples;         // one per completion, their prompts yet empty
  text::ReasoningStreamOptions stream;  // how a completion is read
  std::int64_t choices = 1;             // completions that are given back
  // Scores the prompt instead of, or before, completing it.
  bool score_prompt = false;
  std::int64_t alternatives = 0;
  // Seconds that the model stays loaded afterwards; negative: for ever; none: as configured.
  std::optional<std::int64_t> keep_alive;

  std::int64_t max_output_tokens() const;  // of all completions
};

// Renders and encodes the prompt, resolves what the model's makers recommend, and checks the rest.
// Thread-safe. Throws ApiError naming the field.
PreparedRequest prepare(const GenerationRequest& request, const CatalogEntry& model,
                        const ServerConfig& config);

}  // namespace r1::serve
