#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace r1::serve {

// One turn of a conversation, as a client sent it.
struct Turn {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
  std::string reasoning;  // of an assistant's turn, if the client feeds it back
};

struct Conversation {
  std::vector<Turn> turns;  // at least one
  // The last turn is the assistant's, and its answer is to be gone on with.
  bool continues = false;
};
// A bare text, or its ids.
struct BarePrompt {
  std::variant<std::string, std::vector<std::int32_t>> prompt;
};

// How much a model is to think. What is not given is the model's own way.
struct ThinkingWish {
  std::optional<bool> enabled;
  std::optional<std::int64_t> budget;  // tokens, after which the thought is wound down
  std::optional<double> share;         // the budget as a share of the room for the completion
  std::int64_t at_least = 0;           // tokens before which the thought is made to go on
  std::optional<bool> stop_cycles;     // wind down a thought that repeats itself exactly
};

// What all dialects ask for, in our own words. Validated as far as a dialect can; what depends on
// the model is checked when it is prepared (prepare.h). Names of fields in errors are those of
// OpenAI's API, which the dialects share.
struct GenerationRequest {
  std::string model;
  std::variant<Conversation, BarePrompt> input;

  std::optional<float> temperature, top_p, min_p, repetition_penalty;
  std::optional<std::int64_t> top_k;
  float presence_penalty = 0.0f, frequency_penalty = 0.0f;
  std::vector<std::pair<std::int32_t, float>> logit_bias;
  std::optional<std::uint64_t> seed;  // else one is drawn

  std::optional<std::int64_t> max_tokens;  // of each completion, thinking included
  std::vector<std::string> stops;
  std::int64_t choices = 1;             // completions that are given back
  std::optional<std::int64_t> best_of;  // completions from which they are chosen
  bool log_probs = false;
  std::int64_t alternatives = 0;  // likeliest tokens told with each
  bool echo = false;              // the prompt, scored where log_probs is set

  ThinkingWish thinking;
  bool show_tags = false;  // thinking stays in the content, with its tags
};

}  // namespace r1::serve
