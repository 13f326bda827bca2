// POST /v1/chat/completions: OpenAI's contract with DeepSeek's reasoning_content.

#include <fmt/format.h>

#include "base/error.h"
#include "formats/json.h"
#include "serve/dialects/openai.h"

namespace r1::serve::openai {
namespace {

constexpr std::size_t kMaxMessages = 10000;

struct ChatOptions {
  std::string model;  // as the client named it
  ReasoningField field = ReasoningField::reasoning_content;
  bool thinks = false;
  bool log_probs = false;
  bool include_usage = false;
  bool votes = false;  // one answer is chosen from several
};

// The parts of a text, or the text itself.
std::string read_content(const Fields& message, std::string_view role) {
  const nlohmann::json* content = message.find("content");
  const std::string name = message.name("content");
  if (content == nullptr) {
    if (role == "assistant") return {};
    refuse(name, fmt::format("you must provide the parameter '{}'", name));
  }
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) refuse(name, fmt::format("'{}' must be a string or a list", name));
  std::string text;
  for (std::size_t i = 0; i < content->size(); ++i) {
    const Fields part((*content)[i], fmt::format("{}[{}]", name, i));
    const std::string type = part.text("type").value_or("");
    if (type != "text" && type != "input_text" && type != "output_text") {
      refuse_unsupported(part.name("type"), fmt::format("content of the type '{}'", excerpt(type)));
    }
    if (!part.text("text")) refuse(part.name("text"), "a part of type text needs a text");
    text += *part.text("text");
  }
  return text;
}

Turn read_turn(const nlohmann::json& item, const std::string& path, bool is_last,
               const ServerConfig& config, bool& continues) {
  const Fields message(item, path);
  Turn turn;
  message.require("role");
  turn.role = *message.text("role");
  if (turn.role == "developer") turn.role = "system";
  if (turn.role == "tool" || turn.role == "function") {
    refuse_unsupported(message.name("role"), "calling tools");
  }
  if (turn.role != "system" && turn.role != "user" && turn.role != "assistant") {
    refuse(message.name("role"),
           fmt::format("'{}' must be system, developer, user, assistant or tool, not '{}'",
                       message.name("role"), excerpt(turn.role)));
  }
  message.refuse_others({"tool_calls", "function_call", "audio"});
  turn.content = read_content(message, turn.role);
  for (const std::string_view name : {"reasoning_content", "reasoning", "thinking"}) {
    if (const auto text = message.text(name)) turn.reasoning = *text;
  }
  const bool prefix = message.flag("prefix").value_or(false);
  if (prefix && (!is_last || turn.role != "assistant")) {
    refuse(message.name("prefix"), "only the last message, an assistant's, can be a prefix");
  }
  continues = prefix;
  if (!prefix && !turn.reasoning.empty() && config.refuse_fed_back_reasoning) {
    refuse(message.name("reasoning_content"),
           "the reasoning_content of earlier messages must not be sent back");
  }
  return turn;
}

Conversation read_messages(const Fields& fields, const ServerConfig& config) {
  fields.require("messages");
  const nlohmann::json& items = *fields.array("messages");
  if (items.empty()) refuse("messages", "'messages' must have at least one message");
  if (items.size() > kMaxMessages) {
    refuse("messages", fmt::format("'messages' has more than {} messages", kMaxMessages));
  }
  Conversation conversation;
  for (std::size_t i = 0; i < items.size(); ++i) {
    conversation.turns.push_back(read_turn(items[i], fmt::format("messages[{}]", i),
                                           i + 1 == items.size(), config, conversation.continues));
  }
  // vLLM's word for the same.
  if (fields.flag("continue_final_message").value_or(false)) {
    if (conversation.turns.back().role != "assistant") {
      refuse("continue_final_message", "the last message must be the assistant's");
    }
    conversation.continues = true;
  }
  return conversation;
}

class ChatWriter final : public AnswerWriter {
 public:
  explicit ChatWriter(ChatOptions options) : options_(std::move(options)) {}

  std::string begin(const std::vector<Answer>& answers) override {
    std::string out;
    for (const Answer& answer : answers) {
      for (std::size_t i = 0; i < answer.choices().size(); ++i) {
        out += chunk(answer.first_choice() + i, delta({{"role", "assistant"}, {"content", ""}}),
                     nullptr, nullptr);
      }
    }
    return out;
  }

  std::string progress(const Answer& answer, const AnswerProgress& progress) override {
    const std::size_t index = answer.first_choice() + progress.sample;
    std::string out;
    Json log_probs = token_lists(answer, progress.token);
    std::string reasoning, content;
    for (const text::SectionEvent& piece : progress.pieces) {
      (piece.kind == text::SectionKind::kThinking ? reasoning : content) += piece.text;
    }
    if (!reasoning.empty()) {
      out += chunk(index, delta(reasoning_fields(reasoning)), std::exchange(log_probs, nullptr),
                   nullptr);
    }
    if (!content.empty()) {
      out +=
          chunk(index, delta({{"content", content}}), std::exchange(log_probs, nullptr), nullptr);
    }
    // A token without a text of its own yet, such as part of a character.
    if (!log_probs.is_null()) {
      out += chunk(index, delta({{"content", ""}}), std::move(log_probs), nullptr);
    }
    if (progress.ending) {
      Json last = Json::object();
      if (tells_reasoning()) last = delta({{"content", ""}});
      out += chunk(index, std::move(last), nullptr, finish_reason(progress.ending->reason));
    }
    return out;
  }

  std::string end(const std::vector<Answer>& answers) override {
    std::string out;
    if (options_.include_usage) {
      Json object = head("chat.completion.chunk");
      object["choices"] = Json::array();
      object["usage"] = usage_object(sum(answers));
      out += sse_data(object);
    }
    return out + "data: [DONE]\n\n";
  }

  std::string error(const ApiError& error) const override { return sse_data(error_object(error)); }

  HttpReply whole(const std::vector<Answer>& answers) override {
    Json object = head("chat.completion");
    object["choices"] = Json::array();
    for (const Answer& answer : answers) {
      if (options_.votes) {
        const Chosen chosen = choose_by_majority(answer.choices());
        Json choice = choice_object(answer, chosen.index, 0);
        choice["agreement"] = {{"samples", answer.choices().size()},
                               {"voting", chosen.voting},
                               {"agreeing", chosen.agreeing}};
        object["choices"].push_back(std::move(choice));
        continue;
      }
      for (std::size_t i = 0; i < answer.choices().size(); ++i) {
        object["choices"].push_back(choice_object(answer, i, answer.first_choice() + i));
      }
    }
    object["usage"] = usage_object(sum(answers));
    return {.body = dump(object)};
  }

  std::string keep_alive() const override { return ": keep-alive\n\n"; }

 private:
  bool tells_reasoning() const { return options_.thinks && options_.field != ReasoningField::none; }

  Json head(std::string_view kind) const {
    return {{"id", id_},
            {"object", kind},
            {"created", created_},
            {"model", options_.model},
            {"system_fingerprint", "r1"}};
  }

  // DeepSeek's clients read both fields of every delta: the one that says nothing is null.
  Json delta(Json fields) const {
    if (!tells_reasoning()) return fields;
    if (!fields.contains("content")) fields["content"] = nullptr;
    if (options_.field != ReasoningField::reasoning && !fields.contains("reasoning_content")) {
      fields["reasoning_content"] = nullptr;
    }
    if (options_.field == ReasoningField::reasoning && !fields.contains("reasoning")) {
      fields["reasoning"] = nullptr;
    }
    return fields;
  }

  Json reasoning_fields(const std::string& text) const {
    Json fields = Json::object();
    if (options_.field != ReasoningField::reasoning) fields["reasoning_content"] = text;
    if (options_.field != ReasoningField::reasoning_content) fields["reasoning"] = text;
    return fields;
  }

  std::string chunk(std::size_t index, Json fields, Json log_probs, Json finish) const {
    Json object = head("chat.completion.chunk");
    object["choices"] = Json::array({{{"index", index},
                                      {"delta", std::move(fields)},
                                      {"logprobs", std::move(log_probs)},
                                      {"finish_reason", std::move(finish)}}});
    if (options_.include_usage) object["usage"] = nullptr;
    return sse_data(object);
  }

  // The lists for one token, or null where it belongs to none.
  Json token_lists(const Answer& answer, const std::optional<AnswerToken>& token) const {
    if (!options_.log_probs || !token || token->tag) return nullptr;
    return log_prob_lists(answer, {*token});
  }

  Json log_prob_lists(const Answer& answer, const std::vector<AnswerToken>& tokens) const {
    Json lists = {{"content", Json::array()}, {"refusal", nullptr}};
    if (tells_reasoning()) lists["reasoning_content"] = Json::array();
    for (const AnswerToken& token : tokens) {
      if (token.tag) continue;
      const bool thought = token.section == text::SectionKind::kThinking && tells_reasoning();
      lists[thought ? "reasoning_content" : "content"].push_back(
          token_log_prob(token, answer.model().side.tokenizer));
    }
    return lists;
  }

  Json choice_object(const Answer& answer, std::size_t sample, std::size_t index) const {
    const AnswerChoice& choice = answer.choices()[sample];
    Json message = {{"role", "assistant"}, {"content", choice.content}, {"refusal", nullptr}};
    // Cut off within its thoughts: there is no answer.
    if (choice.content.empty() && !choice.reasoning.empty()) message["content"] = nullptr;
    if (tells_reasoning()) message.update(reasoning_fields(choice.reasoning));
    return {{"index", index},
            {"message", std::move(message)},
            {"logprobs", options_.log_probs ? log_prob_lists(answer, choice.tokens) : Json()},
            {"finish_reason", finish_reason(choice.ending.reason)}};
  }

  ChatOptions options_;
  std::string id_ = "chatcmpl-" + random_id();
  std::int64_t created_ = unix_time();
};

HandlerResult chat(const HttpRequest& http, const Key& /*key*/, const Services& services) {
  const nlohmann::json body = read_body(http, services.config.limits);
  const Fields fields(body);
  GenerationRequest request;
  fields.require("model");
  request.model = *fields.text("model");
  request.input = read_messages(fields, services.config);
  read_sampling(fields, request);
  read_lengths(fields, request, services.config.limits);
  read_thinking(fields, request.thinking);
  refuse_other_abilities(fields);
  request.log_probs = fields.flag("logprobs").value_or(false);
  if (const auto top = fields.integer("top_logprobs", 0, 20)) {
    if (!request.log_probs) refuse("top_logprobs", "'top_logprobs' needs 'logprobs': true");
    request.alternatives = *top;
  }
  const bool stream = fields.flag("stream").value_or(false);
  ChatOptions options;
  if (const auto stream_options = fields.object("stream_options")) {
    if (!stream) refuse("stream_options", "'stream_options' needs 'stream': true");
    options.include_usage = stream_options->flag("include_usage").value_or(false);
  }
  request.best_of = fields.integer("best_of", 1, services.config.limits.choices);
  if (request.best_of) {
    if (request.choices != 1) refuse("best_of", "'best_of' gives one answer: 'n' must be 1");
    if (stream) refuse("best_of", "'best_of' cannot be streamed");
    options.votes = true;
  }
  for (const std::string_view ignored :
       {"user", "metadata", "store", "service_tier", "prompt_cache_key", "prompt_cache_retention",
        "verbosity", "safety_identifier", "parallel_tool_calls", "user_id"}) {
    fields.find(ignored);
  }
  fields.check_unknown(services.config.strict_fields);

  const CatalogEntry& model = services.catalog.find(request.model);
  options.model = request.model;
  options.field = services.config.reasoning_field;
  request.show_tags = options.field == ReasoningField::none;
  options.thinks = model.thinks();
  options.log_probs = request.log_probs;
  Call call;
  call.requests.push_back(std::move(request));
  call.stream = stream;
  call.writer = std::make_unique<ChatWriter>(std::move(options));
  return call;
}

}  // namespace

void add_chat_routes(std::vector<Route>& routes) {
  for (const char* path : {"/v1/chat/completions", "/chat/completions", "/beta/chat/completions",
                           "/beta/v1/chat/completions"}) {
    routes.push_back({"POST", path, error_reply, chat});
  }
}

}  // namespace r1::serve::openai
