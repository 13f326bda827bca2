#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "serve/answer.h"
#include "serve/dialect.h"
#include "serve/dialects/fields.h"

// What OpenAI's endpoints have in common.
namespace r1::serve::openai {

// {"error": {"message", "type", "param", "code"}}
Json error_object(const ApiError& error);
HttpReply error_reply(const ApiError& error, const HttpRequest& request);

// prompt_tokens, completion_tokens, their details, and DeepSeek's hits and misses.
Json usage_object(const Usage& usage);
std::string_view finish_reason(FinishReason reason);

// temperature, top_p, seed, stop, penalties, logit_bias and what llama-server and vLLM add to them.
void read_sampling(const Fields& fields, GenerationRequest& request);
// max_completion_tokens, max_tokens, n.
void read_lengths(const Fields& fields, GenerationRequest& request, const Limits& limits);
// Refuses what concerns sound, pictures, tools and the like.
void refuse_other_abilities(const Fields& fields);

// {"token", "logprob", "bytes", "top_logprobs"} and the entropy of the distribution, in nats.
Json token_log_prob(const AnswerToken& token, const text::Tokenizer& tokenizer);
// The text of a token, as far as it is one.
std::string token_text(std::int32_t id, const text::Tokenizer& tokenizer);

// Reasoning wishes in all known words: reasoning_effort, reasoning, thinking, max_thinking_tokens,
// min_thinking_tokens, chat_template_kwargs.enable_thinking.
void read_thinking(const Fields& fields, ThinkingWish& wish);
// "none", "low", ... as a share of the room. Throws ApiError for other words.
void set_effort(std::string_view effort, std::string_view param, ThinkingWish& wish);

// Several samples, of which one answer is chosen.
struct Chosen {
  std::size_t index = 0;
  std::size_t agreeing = 0;  // samples that say the same
  std::size_t voting = 0;    // samples that gave an answer
};
// By majority over canonical answers (tasks/voting.h); ties and answers that nobody can read go to
// the first.
Chosen choose_by_majority(const std::vector<AnswerChoice>& choices);

void add_chat_routes(std::vector<Route>& routes);
void add_completion_routes(std::vector<Route>& routes);
void add_model_routes(std::vector<Route>& routes);
void add_response_routes(std::vector<Route>& routes);

}  // namespace r1::serve::openai
