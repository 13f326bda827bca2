// POST /v1/responses: the stateless part, with reasoning items.

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "formats/json.h"
#include "serve/dialects/openai.h"

namespace r1::serve::openai {
namespace {

constexpr std::size_t kMaxItems = 10000;

std::string read_text_parts(const Fields& item, std::string_view key) {
  const nlohmann::json& content = item.require(key);
  if (content.is_string()) return content.get<std::string>();
  const std::string name = item.name(key);
  if (!content.is_array()) refuse(name, fmt::format("'{}' must be a string or a list", name));
  std::string text;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const Fields part(content[i], fmt::format("{}[{}]", name, i));
    const std::string type = part.text("type").value_or("");
    if (type != "input_text" && type != "output_text" && type != "text" &&
        type != "reasoning_text" && type != "summary_text") {
      refuse_unsupported(part.name("type"), fmt::format("content of the type '{}'", excerpt(type)));
    }
    part.require("text");
    text += *part.text("text");
  }
  return text;
}

Conversation read_input(const Fields& fields) {
  Conversation conversation;
  if (const auto instructions = fields.text("instructions")) {
    conversation.turns.push_back({"system", *instructions, {}});
  }
  const nlohmann::json& input = fields.require("input");
  if (input.is_string()) {
    conversation.turns.push_back({"user", input.get<std::string>(), {}});
    return conversation;
  }
  if (!input.is_array() || input.empty() || input.size() > kMaxItems) {
    refuse("input", fmt::format("'input' must be a string or a list of 1 to {} items", kMaxItems));
  }
  for (std::size_t i = 0; i < input.size(); ++i) {
    const Fields item(input[i], fmt::format("input[{}]", i));
    const std::string type = item.text("type").value_or("message");
    if (type == "reasoning") continue;  // thinking of earlier turns is dropped
    if (type != "message") {
      refuse_unsupported(item.name("type"), fmt::format("an item of the type '{}'", excerpt(type)));
    }
    item.require("role");
    Turn turn{*item.text("role"), read_text_parts(item, "content"), {}};
    if (turn.role == "developer") turn.role = "system";
    if (turn.role != "system" && turn.role != "user" && turn.role != "assistant") {
      refuse(item.name("role"),
             fmt::format("'{}' must be system, developer, user or assistant", item.name("role")));
    }
    conversation.turns.push_back(std::move(turn));
  }
  if (conversation.turns.empty()) refuse("input", "there is no message in it");
  return conversation;
}

class ResponseWriter final : public AnswerWriter {
 public:
  explicit ResponseWriter(std::string model) : model_(std::move(model)) {}

  std::string begin(const std::vector<Answer>& /*answers*/) override {
    const Json begun = {{"response", response("in_progress")}};
    std::string out = event("response.created", begun);  // each counts: one after the other
    return out + event("response.in_progress", begun);
  }

  std::string progress(const Answer& /*answer*/, const AnswerProgress& progress) override {
    std::string out;
    for (const text::SectionEvent& piece : progress.pieces) {
      const bool thought = piece.kind == text::SectionKind::kThinking;
      if (!open_ || *open_ != thought) {
        out += close_item();
        out += open_item(thought);
      }
      text_ += piece.text;
      out += event(thought ? "response.reasoning_text.delta" : "response.output_text.delta",
                   part_fields({{"delta", piece.text}}));
    }
    return out;
  }

  std::string end(const std::vector<Answer>& answers) override {
    std::string out = close_item();
    if (items_.empty()) {
      out += open_item(false);
      out += close_item();
    }
    const Json last = finished(answers.front());
    out += event(last["status"] == "completed" ? "response.completed" : "response.incomplete",
                 {{"response", last}});
    return out;
  }

  std::string error(const ApiError& error) const override {
    const Json inner = error_object(error)["error"];
    return sse_event("error", {{"type", "error"},
                               {"code", inner["code"]},
                               {"message", inner["message"]},
                               {"param", inner["param"]},
                               {"sequence_number", sequence_}});
  }

  HttpReply whole(const std::vector<Answer>& answers) override {
    const AnswerChoice& choice = answers.front().choices().front();
    if (!choice.reasoning.empty()) items_.push_back(item(true, choice.reasoning));
    if (!choice.content.empty() || choice.reasoning.empty()) {
      items_.push_back(item(false, choice.content));
    }
    return {.body = dump(finished(answers.front()))};
  }

 private:
  Json response(std::string_view status) const {
    return {{"id", id_},
            {"object", "response"},
            {"created_at", created_},
            {"status", status},
            {"model", model_},
            {"output", items_},
            {"error", nullptr},
            {"incomplete_details", nullptr},
            {"usage", nullptr},
            {"parallel_tool_calls", false},
            {"tools", Json::array()},
            {"tool_choice", "none"},
            {"instructions", nullptr},
            {"metadata", Json::object()}};
  }

  Json finished(const Answer& answer) const {
    const bool complete = answer.choices().front().ending.reason == FinishReason::stop;
    Json object = response(complete ? "completed" : "incomplete");
    if (!complete) object["incomplete_details"] = {{"reason", "max_output_tokens"}};
    const Usage usage = answer.usage();
    object["usage"] = {{"input_tokens", usage.prompt_tokens()},
                       {"input_tokens_details", {{"cached_tokens", usage.cache_hit_tokens}}},
                       {"output_tokens", usage.completion_tokens},
                       {"output_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
                       {"total_tokens", usage.total_tokens()}};
    return object;
  }

  static Json part(bool thought, const std::string& text) {
    if (thought) return {{"type", "reasoning_text"}, {"text", text}};
    return {{"type", "output_text"},
            {"text", text},
            {"annotations", Json::array()},
            {"logprobs", Json::array()}};
  }

  Json item(bool thought, const std::string& text) const {
    if (thought) {
      return {{"id", "rs_" + suffix_},
              {"type", "reasoning"},
              {"summary", Json::array()},
              {"content", Json::array({part(true, text)})},
              {"status", "completed"}};
    }
    return {{"id", "msg_" + suffix_},
            {"type", "message"},
            {"role", "assistant"},
            {"status", "completed"},
            {"content", Json::array({part(false, text)})}};
  }

  std::string event(std::string_view type, Json fields) {
    Json object = {{"type", type}, {"sequence_number", sequence_++}};
    object.update(fields);
    return sse_event(type, object);
  }

  Json part_fields(Json fields) const {
    Json all = {{"item_id", (*open_ ? "rs_" : "msg_") + suffix_},
                {"output_index", items_.size()},
                {"content_index", 0}};
    all.update(fields);
    return all;
  }

  std::string open_item(bool thought) {
    open_ = thought;
    text_.clear();
    Json begun = item(thought, {});
    begun["status"] = "in_progress";
    begun["content"] = Json::array();
    std::string out =
        event("response.output_item.added", {{"output_index", items_.size()}, {"item", begun}});
    return out + event("response.content_part.added", part_fields({{"part", part(thought, {})}}));
  }

  std::string close_item() {
    if (!open_) return {};
    const bool thought = *open_;
    std::string out = event(thought ? "response.reasoning_text.done" : "response.output_text.done",
                            part_fields({{"text", text_}}));
    out += event("response.content_part.done", part_fields({{"part", part(thought, text_)}}));
    const Json done = item(thought, text_);
    out += event("response.output_item.done", {{"output_index", items_.size()}, {"item", done}});
    items_.push_back(done);
    open_.reset();
    return out;
  }

  std::string model_, suffix_ = random_id(), id_ = "resp_" + random_id();
  std::int64_t created_ = unix_time(), sequence_ = 0;
  Json items_ = Json::array();  // finished ones
  std::optional<bool> open_;    // whether the item under way is of thinking
  std::string text_;            // of the item under way
};

HandlerResult respond(const HttpRequest& http, const Key& /*key*/, const Services& services) {
  const nlohmann::json body = read_body(http, services.config.limits);
  const Fields fields(body);
  GenerationRequest request;
  fields.require("model");
  request.model = *fields.text("model");
  request.input = read_input(fields);
  read_sampling(fields, request);
  request.max_tokens = fields.integer("max_output_tokens", 1, std::int64_t{1} << 31);
  read_thinking(fields, request.thinking);
  refuse_other_abilities(fields);
  fields.refuse_others({"previous_response_id", "conversation", "background", "prompt", "include"});
  if (const auto text = fields.object("text")) {
    if (const auto format = text->object("format");
        format && format->text("type").value_or("text") != "text") {
      refuse_unsupported("text.format.type", "any format but text");
    }
  }
  if (const auto cut = fields.text("truncation"); cut && *cut != "disabled") {
    refuse_unsupported("truncation", "cutting the input");
  }
  for (const std::string_view ignored :
       {"store", "metadata", "user", "service_tier", "parallel_tool_calls", "prompt_cache_key",
        "safety_identifier", "max_tool_calls"}) {
    fields.find(ignored);
  }
  Call call;
  call.stream = fields.flag("stream").value_or(false);
  fields.check_unknown(services.config.strict_fields);
  services.catalog.find(request.model);
  call.writer = std::make_unique<ResponseWriter>(request.model);
  call.requests.push_back(std::move(request));
  return call;
}

}  // namespace

void add_response_routes(std::vector<Route>& routes) {
  routes.push_back({"POST", "/v1/responses", error_reply, respond});
}

}  // namespace r1::serve::openai
