// POST /v1/completions: bare texts, scored or gone on with; DeepSeek's FIM is refused by name.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "serve/dialects/openai.h"
#include "text/stream_decoder.h"

namespace r1::serve::openai {
namespace {

constexpr std::int64_t kDefaultTokens = 16;  // OpenAI's
constexpr std::size_t kMaxPrompts = 2048;

struct CompletionOptions {
  std::string model;
  bool echo = false;
  std::optional<std::int64_t> log_probs;  // alternatives of each token
  bool include_usage = false;
  std::int64_t choices = 1;  // that are given back of each prompt's
};

std::vector<std::int32_t> read_ids(const nlohmann::json& list, const std::string& name) {
  std::vector<std::int32_t> ids;
  for (const nlohmann::json& item : list) {
    if (!item.is_number_integer() || item.get<std::int64_t>() < 0 ||
        item.get<std::int64_t>() > INT32_MAX) {
      refuse(name, fmt::format("'{}' must be token ids", name));
    }
    ids.push_back(item.get<std::int32_t>());
  }
  return ids;
}

// A string, a list of strings, ids, or a list of lists of ids.
std::vector<BarePrompt> read_prompts(const Fields& fields) {
  const nlohmann::json& prompt = fields.require("prompt");
  const std::string name = fields.name("prompt");
  if (prompt.is_string()) return {{prompt.get<std::string>()}};
  if (!prompt.is_array() || prompt.empty()) {
    refuse(name, fmt::format("'{}' must be a string, a list of strings, or token ids", name));
  }
  if (prompt[0].is_number()) return {{read_ids(prompt, name)}};
  if (prompt.size() > kMaxPrompts) {
    refuse(name, fmt::format("'{}' has more than {} prompts", name, kMaxPrompts));
  }
  std::vector<BarePrompt> prompts;
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const std::string item = fmt::format("{}[{}]", name, i);
    if (prompt[i].is_string()) {
      prompts.push_back({prompt[i].get<std::string>()});
    } else if (prompt[i].is_array()) {
      prompts.push_back({read_ids(prompt[i], item)});
    } else {
      refuse(item, fmt::format("'{}' must be a string or a list of token ids", item));
    }
  }
  return prompts;
}

// The four lists of a legacy log-probability object, grown token by token.
class TokenLists {
 public:
  TokenLists(const text::Tokenizer& tokenizer, std::size_t offset)
      : tokenizer_(tokenizer), offset_(offset) {}

  // Without a log-probability, as the first token of a prompt, null.
  void add(std::int32_t id, const AnswerToken* scored) {
    std::string text = token_text(id, tokenizer_);
    if (tokenizer_.is_control(id)) text.clear();  // as the text has it
    tokens_.push_back(text);
    offsets_.push_back(offset_);
    offset_ += text.size();
    if (scored == nullptr) {
      log_probs_.push_back(nullptr);
      top_.push_back(nullptr);
      return;
    }
    log_probs_.push_back(scored->log_prob);
    Json top = Json::object();
    for (const TokenAlternative& other : scored->alternatives) {
      top[token_text(other.id, tokenizer_)] = other.log_prob;
    }
    top_.push_back(std::move(top));
  }
  Json take() {
    return {{"tokens", std::move(tokens_)},
            {"token_logprobs", std::move(log_probs_)},
            {"top_logprobs", std::move(top_)},
            {"text_offset", std::move(offsets_)}};
  }

 private:
  const text::Tokenizer& tokenizer_;
  std::size_t offset_;
  Json tokens_ = Json::array(), log_probs_ = Json::array(), top_ = Json::array(),
       offsets_ = Json::array();
};

std::string prompt_text(const Answer& answer) {
  const text::Tokenizer& tokenizer = answer.model().side.tokenizer;
  std::string text;
  text::StreamDecoder decoder(tokenizer);
  for (const std::int32_t id : answer.prompt()) text += decoder.push(id);
  return text + decoder.flush();
}

// The likeliest completions first: by their mean log-probability.
std::vector<std::size_t> best(const Answer& answer, std::int64_t count) {
  std::vector<std::size_t> order(answer.choices().size());
  std::vector<double> mean(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
    for (const AnswerToken& token : answer.choices()[i].tokens) {
      mean[i] += static_cast<double>(token.log_prob);
    }
    mean[i] /= static_cast<double>(std::max<std::size_t>(1, answer.choices()[i].tokens.size()));
  }
  if (std::ssize(order) > count) {
    std::ranges::stable_sort(order,
                             [&](std::size_t a, std::size_t b) { return mean[a] > mean[b]; });
    order.resize(static_cast<std::size_t>(count));
  }
  return order;
}

class CompletionWriter final : public AnswerWriter {
 public:
  explicit CompletionWriter(CompletionOptions options) : options_(std::move(options)) {}

  std::string begin(const std::vector<Answer>& answers) override {
    std::string out;
    if (!options_.echo) return out;
    for (const Answer& answer : answers) {
      for (std::size_t i = 0; i < std::max<std::size_t>(1, answer.choices().size()); ++i) {
        out += chunk(answer.first_choice() + i, prompt_text(answer), prompt_log_probs(answer),
                     nullptr);
      }
    }
    return out;
  }

  std::string progress(const Answer& answer, const AnswerProgress& progress) override {
    std::string text;
    for (const text::SectionEvent& piece : progress.pieces) text += piece.text;
    Json lists;
    if (options_.log_probs && progress.token && !progress.token->tag) {
      TokenLists grown(answer.model().side.tokenizer, 0);
      grown.add(progress.token->id, &*progress.token);
      lists = grown.take();
    }
    const Json finish =
        progress.ending ? Json(finish_reason(progress.ending->reason)) : Json(nullptr);
    if (text.empty() && lists.is_null() && finish.is_null()) return {};
    return chunk(answer.first_choice() + progress.sample, text, std::move(lists), finish);
  }

  std::string end(const std::vector<Answer>& answers) override {
    std::string out;
    if (options_.include_usage) {
      Json object = head();
      object["choices"] = Json::array();
      object["usage"] = usage_object(sum(answers));
      out += sse_data(object);
    }
    return out + "data: [DONE]\n\n";
  }

  std::string error(const ApiError& error) const override { return sse_data(error_object(error)); }

  HttpReply whole(const std::vector<Answer>& answers) override {
    Json object = head();
    object["choices"] = Json::array();
    for (const Answer& answer : answers) {
      const std::string prompt = options_.echo ? prompt_text(answer) : std::string();
      if (answer.choices().empty()) {
        object["choices"].push_back(choice(answer.first_choice(), prompt,
                                           options_.log_probs ? prompt_log_probs(answer) : Json(),
                                           "length"));
        continue;
      }
      std::size_t index = answer.first_choice();
      for (const std::size_t sample : best(answer, options_.choices)) {
        const AnswerChoice& completion = answer.choices()[sample];
        object["choices"].push_back(choice(index++, prompt + completion.content,
                                           log_probs(answer, completion, prompt.size()),
                                           finish_reason(completion.ending.reason)));
      }
    }
    object["usage"] = usage_object(sum(answers));
    return {.body = dump(object)};
  }

 private:
  Json head() const {
    return {{"id", id_},
            {"object", "text_completion"},
            {"created", created_},
            {"model", options_.model},
            {"system_fingerprint", "r1"}};
  }
  static Json choice(std::size_t index, const std::string& text, Json lists, Json finish) {
    return {{"text", text},
            {"index", index},
            {"logprobs", std::move(lists)},
            {"finish_reason", std::move(finish)}};
  }
  std::string chunk(std::size_t index, const std::string& text, Json lists, Json finish) const {
    Json object = head();
    object["choices"] = Json::array({choice(index, text, std::move(lists), std::move(finish))});
    if (options_.include_usage) object["usage"] = nullptr;
    return sse_data(object);
  }

  static void add_prompt(const Answer& answer, TokenLists& lists) {
    for (std::size_t i = 0; i < answer.prompt().size(); ++i) {
      lists.add(answer.prompt()[i], i == 0 ? nullptr : &answer.scored_prompt()[i - 1]);
    }
  }
  Json prompt_log_probs(const Answer& answer) const {
    if (!options_.log_probs) return nullptr;
    TokenLists lists(answer.model().side.tokenizer, 0);
    add_prompt(answer, lists);
    return lists.take();
  }
  Json log_probs(const Answer& answer, const AnswerChoice& completion, std::size_t offset) const {
    if (!options_.log_probs) return nullptr;
    TokenLists lists(answer.model().side.tokenizer, options_.echo ? 0 : offset);
    if (options_.echo) add_prompt(answer, lists);
    for (const AnswerToken& token : completion.tokens) {
      if (!token.tag) lists.add(token.id, &token);
    }
    return lists.take();
  }

  CompletionOptions options_;
  std::string id_ = "cmpl-" + random_id();
  std::int64_t created_ = unix_time();
};

HandlerResult complete(const HttpRequest& http, const Key& /*key*/, const Services& services) {
  const Limits& limits = services.config.limits;
  const nlohmann::json body = read_body(http, limits);
  const Fields fields(body);
  GenerationRequest request;
  fields.require("model");
  request.model = *fields.text("model");
  read_sampling(fields, request);
  request.choices = fields.integer("n", 1, limits.choices).value_or(1);
  request.max_tokens =
      fields.integer("max_tokens", 0, std::int64_t{1} << 31).value_or(kDefaultTokens);
  request.echo = fields.flag("echo").value_or(false);
  request.show_tags = true;
  CompletionOptions options;
  if (fields.find("logprobs") != nullptr && fields.find("logprobs")->is_boolean()) {
    if (*fields.flag("logprobs")) options.log_probs = 0;
  } else {
    options.log_probs = fields.integer("logprobs", 0, 20);
  }
  request.log_probs = options.log_probs.has_value();
  request.alternatives = options.log_probs.value_or(0);
  request.best_of = fields.integer("best_of", 0, limits.choices);
  const bool stream = fields.flag("stream").value_or(false);
  if (request.best_of == 0) request.best_of.reset();
  if (request.best_of) {
    if (*request.best_of < request.choices) refuse("best_of", "'best_of' must not be below 'n'");
    if (stream && *request.best_of > request.choices) {
      refuse("best_of", "'best_of' cannot be streamed");
    }
  }
  if (*request.max_tokens == 0) {
    if (!request.echo) refuse("max_tokens", "0 tokens make sense with 'echo' only");
    if (request.choices != 1) refuse("n", "a prompt that is only scored has one choice");
  }
  if (const auto suffix = fields.text("suffix"); suffix && !suffix->empty()) {
    refuse_unsupported("suffix", "filling in the middle (none of the models has tokens for it)");
  }
  refuse_other_abilities(fields);
  if (const auto stream_options = fields.object("stream_options")) {
    if (!stream) refuse("stream_options", "'stream_options' needs 'stream': true");
    options.include_usage = stream_options->flag("include_usage").value_or(false);
  }
  fields.find("user");
  std::vector<BarePrompt> prompts = read_prompts(fields);
  fields.check_unknown(services.config.strict_fields);

  options.model = request.model;
  options.echo = request.echo;
  options.choices = request.choices;
  Call call;
  for (BarePrompt& prompt : prompts) {
    call.requests.push_back(request);
    call.requests.back().input = std::move(prompt);
  }
  call.stream = stream;
  call.writer = std::make_unique<CompletionWriter>(std::move(options));
  return call;
}

}  // namespace

void add_completion_routes(std::vector<Route>& routes) {
  for (const char* path : {"/v1/completions", "/completions", "/beta/completions"}) {
    routes.push_back({"POST", path, error_reply, complete});
  }
}

}  // namespace r1::serve::openai
