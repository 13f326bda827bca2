#include "serve/dialects/openai.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/error.h"
#include "formats/json.h"
#include "tasks/voting.h"
#include "text/stream_decoder.h"

namespace r1::serve::openai {
namespace {

constexpr std::size_t kMaxBias = 1024;

std::string_view error_type(ApiError::Kind kind) {
  using Kind = ApiError::Kind;
  switch (kind) {
    case Kind::unauthorized:
      return "authentication_error";
    case Kind::forbidden:
      return "permission_error";
    case Kind::no_balance:
      return "insufficient_quota";
    case Kind::rate_limited:
      return "rate_limit_error";
    case Kind::internal:
      return "server_error";
    case Kind::unsupported:
      return "not_supported_error";
    case Kind::overloaded:
      return "overloaded_error";
    default:
      return "invalid_request_error";
  }
}

std::vector<std::pair<std::int32_t, float>> read_bias(const nlohmann::json& object,
                                                      const std::string& name) {
  if (!object.is_object()) refuse(name, fmt::format("'{}' must be an object", name));
  if (object.size() > kMaxBias) {
    refuse(name, fmt::format("'{}' has more than {} tokens", name, kMaxBias));
  }
  std::vector<std::pair<std::int32_t, float>> bias;
  for (const auto& [key, value] : object.items()) {
    std::int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0) {
      refuse(name, fmt::format("'{}': '{}' is not a token id", name, excerpt(key)));
    }
    if (!value.is_number() || !(std::abs(value.get<double>()) <= 100.0)) {
      refuse(name, fmt::format("'{}.{}' must be a number from -100 to 100", name, key));
    }
    bias.emplace_back(id, value.get<float>());
  }
  std::ranges::sort(bias);
  return bias;
}

// nothing: float of what a double says, where it says something.
std::optional<float> single(const std::optional<double>& value) {
  if (!value) return {};
  return static_cast<float>(*value);
}

}  // namespace

Json error_object(const ApiError& error) {
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? Json() : Json(text);
  };
  return {{"error",
           {{"message", error.what()},
            {"type", error_type(error.kind)},
            {"param", text_or_null(error.param)},
            {"code", text_or_null(error.code)}}}};
}

HttpReply error_reply(const ApiError& error, const HttpRequest& /*request*/) {
  HttpReply reply;
  reply.status = error.status();
  reply.body = dump(error_object(error));
  return reply;
}

Json usage_object(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens()},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.total_tokens()},
          {"prompt_tokens_details", {{"cached_tokens", usage.cache_hit_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
          {"prompt_cache_hit_tokens", usage.cache_hit_tokens},
          {"prompt_cache_miss_tokens", usage.cache_miss_tokens}};
}

std::string_view finish_reason(FinishReason reason) {
  return reason == FinishReason::stop ? "stop" : "length";
}

void read_sampling(const Fields& fields, GenerationRequest& request) {
  request.temperature = single(fields.number("temperature", 0.0, 2.0));
  request.top_p = single(fields.number("top_p", 0.0, 1.0));
  request.min_p = single(fields.number("min_p", 0.0, 1.0));
  request.top_k = fields.integer("top_k", -1, std::numeric_limits<std::int32_t>::max());
  if (request.top_k == -1) request.top_k = 0;  // vLLM's word for all
  request.repetition_penalty = single(fields.number("repetition_penalty", 0.01, 100.0));
  if (const auto penalty = fields.number("repeat_penalty", 0.01, 100.0)) {
    request.repetition_penalty = static_cast<float>(*penalty);
  }
  request.presence_penalty =
      static_cast<float>(fields.number("presence_penalty", -2.0, 2.0).value_or(0.0));
  request.frequency_penalty =
      static_cast<float>(fields.number("frequency_penalty", -2.0, 2.0).value_or(0.0));
  if (const nlohmann::json* bias = fields.find("logit_bias")) {
    request.logit_bias = read_bias(*bias, fields.name("logit_bias"));
  }
  if (const auto seed = fields.integer("seed", std::numeric_limits<std::int64_t>::min(),
                                       std::numeric_limits<std::int64_t>::max())) {
    request.seed = static_cast<std::uint64_t>(*seed);
  }
  request.stops = fields.texts("stop", text::kMaxStopStrings);
}

void read_lengths(const Fields& fields, GenerationRequest& request, const Limits& limits) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  request.max_tokens = fields.integer("max_tokens", 1, kMost);
  if (const auto most = fields.integer("max_completion_tokens", 1, kMost))
    request.max_tokens = most;
  request.choices = fields.integer("n", 1, limits.choices).value_or(1);
}

void refuse_other_abilities(const Fields& fields) {
  fields.refuse_others({"tools",
                        "functions",
                        "audio",
                        "prediction",
                        "web_search_options",
                        "structured_outputs",
                        "guided_json",
                        "guided_regex",
                        "guided_choice",
                        "guided_grammar",
                        "grammar",
                        "json_schema",
                        "typical_p",
                        "logits_processors",
                        "min_tokens",
                        "stop_token_ids",
                        "ignore_eos",
                        "prompt_logprobs",
                        "include_stop_str_in_output",
                        "truncate_prompt_tokens"});
  if (const auto choice = fields.find("tool_choice");
      choice != nullptr && *choice != "none" && *choice != "auto") {
    refuse_unsupported(fields.name("tool_choice"), "calling tools");
  }
  if (const auto format = fields.object("response_format")) {
    if (const auto type = format->text("type").value_or(""); type != "text") {
      refuse_unsupported(format->name("type"), fmt::format("the format '{}'", excerpt(type)));
    }
  }
  for (const std::string& modality : fields.texts("modalities", 8)) {
    if (modality != "text") refuse_unsupported(fields.name("modalities"), "any but text");
  }
}

std::string token_text(std::int32_t id, const text::Tokenizer& tokenizer) {
  return text::repair_utf8(tokenizer.token_bytes(id));
}

Json token_log_prob(const AnswerToken& token, const text::Tokenizer& tokenizer) {
  const auto entry = [&](std::int32_t id, float log_prob) {
    Json bytes = Json::array();
    for (const char byte : tokenizer.token_bytes(id))
      bytes.push_back(static_cast<unsigned char>(byte));
    return Json{{"token", token_text(id, tokenizer)}, {"logprob", log_prob}, {"bytes", bytes}};
  };
  Json object = entry(token.id, token.log_prob);
  object["top_logprobs"] = Json::array();
  for (const TokenAlternative& other : token.alternatives) {
    object["top_logprobs"].push_back(entry(other.id, other.log_prob));
  }
  object["entropy"] = token.entropy;
  return object;
}

void set_effort(std::string_view effort, std::string_view param, ThinkingWish& wish) {
  struct Effort {
    std::string_view name;
    double share;  // of the room for thinking and answer together
  };
  constexpr std::array<Effort, 6> kEfforts = {{{"minimal", 0.1},
                                               {"low", 0.2},
                                               {"medium", 0.5},
                                               {"high", 0.8},
                                               {"xhigh", 0.95},
                                               {"max", 1.0}}};
  if (effort == "none") {
    wish.enabled = false;
    return;
  }
  for (const Effort& known : kEfforts) {
    if (known.name != effort) continue;
    wish.enabled = true;
    if (known.share < 1.0) wish.share = known.share;
    return;
  }
  refuse(param, fmt::format("'{}' must be none, minimal, low, medium, high, xhigh or max, not '{}'",
                            param, excerpt(effort)));
}

void read_thinking(const Fields& fields, ThinkingWish& wish) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  if (const auto effort = fields.text("reasoning_effort")) {
    set_effort(*effort, fields.name("reasoning_effort"), wish);
  }
  if (const auto reasoning = fields.object("reasoning")) {
    if (const auto effort = reasoning->text("effort")) {
      set_effort(*effort, reasoning->name("effort"), wish);
    }
    if (const auto budget = reasoning->integer("max_tokens", 0, kMost)) wish.budget = budget;
    if (const auto enabled = reasoning->flag("enabled")) wish.enabled = enabled;
  }
  if (const auto thinking = fields.object("thinking")) {
    const std::string type = thinking->text("type").value_or("enabled");
    if (type != "enabled" && type != "disabled" && type != "adaptive") {
      refuse(thinking->name("type"), "'thinking.type' must be enabled or disabled");
    }
    if (type != "adaptive") wish.enabled = type == "enabled";
    if (const auto budget = thinking->integer("budget_tokens", 0, kMost)) wish.budget = budget;
  }
  for (const std::string_view name : {"max_thinking_tokens", "thinking_token_budget"}) {
    if (const auto budget = fields.integer(name, 0, kMost)) wish.budget = budget;
  }
  wish.at_least = fields.integer("min_thinking_tokens", 0, kMost).value_or(0);
  wish.stop_cycles = fields.flag("stop_cycles");
  if (const auto variables = fields.object("chat_template_kwargs")) {
    for (const std::string_view name : {"enable_thinking", "thinking"}) {
      if (const auto enabled = variables->flag(name)) wish.enabled = enabled;
    }
    variables->check_unknown(true);
  }
}

Chosen choose_by_majority(const std::vector<AnswerChoice>& choices) {
  std::vector<std::string> answers;
  for (const AnswerChoice& choice : choices) {
    answers.push_back(tasks::canonical_answer(choice.content));
  }
  Chosen chosen;
  chosen.voting =
      choices.size() - static_cast<std::size_t>(std::ranges::count(answers, std::string()));
  if (const auto winner = tasks::majority(answers)) {
    chosen.index = *winner;
    chosen.agreeing = static_cast<std::size_t>(std::ranges::count(answers, answers[*winner]));
  }
  return chosen;
}

}  // namespace r1::serve::openai
