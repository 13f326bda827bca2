#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "reasoning/reasoning_model.h"
#include "text/completion_stream.h"

namespace r1::reasoning {

struct AskOptions {
  SamplingParams sampling;
  std::int64_t max_tokens = 0;  // of the completion; 0: up to the context's end
  std::vector<std::string> stops;
};

struct Answer {
  std::string text;      // the completion, tags included
  std::string thinking;  // of the first think block
  std::string answer;    // of the last answer block, or what follows a chat's thinking
  bool well_formed = false;
  text::SectionKind starts_in = text::SectionKind::kOther;  // kThinking: the prompt opened it

  std::vector<SampledToken> tokens;
  FinishReason finish = FinishReason::length;
  std::vector<std::int32_t> prompt;  // the ids that it answers
  double first_token_seconds = 0.0;  // from the question to the first token drawn
  double seconds = 0.0;              // from the question to the last
};

std::string_view name_of(FinishReason reason);

// The conversation that asks one question.
std::vector<text::ChatMessage> question(std::string_view text);

// Asks for the next turn of a conversation and gives out what the reader may see as it appears.
// `cancelled` is asked after each token; an answer that it ends is kept as far as it goes.
// Throws Error when the prompt does not fit the context; the engine can be asked again.
Answer ask(Engine& engine, const ReasoningModel& model, std::span<const text::ChatMessage> turns,
           const AskOptions& options,
           const std::function<void(const text::SectionEvent&)>& show = {},
           const std::function<bool()>& cancelled = {});

}  // namespace r1::reasoning
