#include "serve/dialects/anthropic.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "formats/json.h"
#include "serve/dialects/openai.h"

namespace r1::serve::anthropic {
namespace {

constexpr std::int64_t kLeastBudget = 1024;  // the API's; smaller contexts take smaller ones
// Thinking is not secret here; the signature only has to come back as it went.
constexpr std::string_view kSignature = "r1-unsigned";

std::string_view error_type(const ApiError& error) {
  using Kind = ApiError::Kind;
  switch (error.kind) {
    case Kind::unauthorized:
      return "authentication_error";
    case Kind::no_balance:
      return "billing_error";
    case Kind::forbidden:
      return "permission_error";
    case Kind::not_found:
      return "not_found_error";
    case Kind::too_large:
      return "request_too_large";
    case Kind::rate_limited:
      return "rate_limit_error";
    case Kind::internal:
      return "api_error";
    case Kind::overloaded:
      return "overloaded_error";
    default:
      return "invalid_request_error";
  }
}

Json error_object(const ApiError& error, const std::string& request_id) {
  return {{"type", "error"},
          {"error", {{"type", error_type(error)}, {"message", error.what()}}},
          {"request_id", request_id}};
}

// The text of a string or of blocks; thinking of an assistant's earlier turns goes to `reasoning`.
std::string read_blocks(const nlohmann::json& content, const std::string& name,
                        std::string* reasoning) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) refuse(name, fmt::format("'{}' must be a string or a list", name));
  std::string text;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const Fields block(content[i], fmt::format("{}.{}", name, i));
    block.require("type");
    const std::string type = *block.text("type");
    if (type == "text") {
      block.require("text");
      text += *block.text("text");
    } else if (type == "thinking" && reasoning != nullptr) {
      *reasoning += block.text("thinking").value_or("");
    } else if (type != "redacted_thinking" || reasoning == nullptr) {
      refuse_unsupported(block.name("type"),
                         fmt::format("a block of the type '{}'", excerpt(type)));
    }
  }
  return text;
}

void read_thinking(const Fields& fields, GenerationRequest& request) {
  // Without the field a model that thinks does not, as in the API.
  request.thinking.enabled = false;
  if (const auto thinking = fields.object("thinking")) {
    thinking->require("type");
    const std::string type = *thinking->text("type");
    if (type == "enabled") {
      request.thinking.enabled = true;
      const auto budget = thinking->integer("budget_tokens", 1, std::int64_t{1} << 31);
      if (!budget) refuse(thinking->name("budget_tokens"), "thinking needs 'budget_tokens'");
      if (*budget >= *request.max_tokens) {
        refuse(thinking->name("budget_tokens"), "'budget_tokens' must be below 'max_tokens'");
      }
      request.thinking.budget = budget;
    } else if (type == "adaptive") {
      request.thinking.enabled = true;
    } else if (type != "disabled") {
      refuse(thinking->name("type"), "'thinking.type' must be enabled, disabled or adaptive");
    }
  }
  if (const auto output = fields.object("output_config")) {
    if (const auto effort = output->text("effort"); effort && request.thinking.enabled == true) {
      openai::set_effort(*effort, output->name("effort"), request.thinking);
    }
    output->refuse_others({"format"});
  }
}

GenerationRequest read_request(const Fields& fields, bool counts_only) {
  GenerationRequest request;
  fields.require("model");
  request.model = *fields.text("model");
  if (!counts_only) fields.require("max_tokens");
  request.max_tokens = fields.integer("max_tokens", 1, std::int64_t{1} << 31).value_or(1);
  Conversation conversation;
  if (const nlohmann::json* system = fields.find("system")) {
    conversation.turns.push_back({"system", read_blocks(*system, "system", nullptr), {}});
  }
  fields.require("messages");
  const nlohmann::json& messages = *fields.array("messages");
  if (messages.empty()) refuse("messages", "messages: at least one message is required");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Fields message(messages[i], fmt::format("messages.{}", i));
    message.require("role");
    Turn turn;
    turn.role = *message.text("role");
    if (turn.role != "user" && turn.role != "assistant") {
      refuse(message.name("role"),
             fmt::format("'{}' must be user or assistant", message.name("role")));
    }
    turn.content = read_blocks(message.require("content"), message.name("content"),
                               turn.role == "assistant" ? &turn.reasoning : nullptr);
    conversation.turns.push_back(std::move(turn));
  }
  // An assistant's last turn is the beginning of the answer.
  conversation.continues = conversation.turns.back().role == "assistant";
  request.input = std::move(conversation);
  if (const auto temperature = fields.number("temperature", 0.0, 1.0)) {
    request.temperature = static_cast<float>(*temperature);
  }
  if (const auto top_p = fields.number("top_p", 0.0, 1.0)) {
    request.top_p = static_cast<float>(*top_p);
  }
  request.top_k = fields.integer("top_k", 0, std::int64_t{1} << 31);
  request.stops = fields.texts("stop_sequences", text::kMaxStopStrings);
  if (const auto seed = fields.integer("seed", 0, INT64_MAX)) {
    request.seed = static_cast<std::uint64_t>(*seed);
  }
  read_thinking(fields, request);
  fields.refuse_others({"tools", "mcp_servers", "container", "context_management"});
  if (const auto choice = fields.object("tool_choice");
      choice && choice->text("type").value_or("auto") != "none" &&
      choice->text("type").value_or("auto") != "auto") {
    refuse_unsupported("tool_choice", "calling tools");
  }
  for (const std::string_view ignored : {"metadata", "service_tier", "stream", "inference_geo"}) {
    fields.find(ignored);
  }
  return request;
}

class Writer final : public AnswerWriter {
 public:
  explicit Writer(std::string model) : model_(std::move(model)) {}

  std::string begin(const std::vector<Answer>& answers) override {
    Json message = head();
    message["content"] = Json::array();
    message["stop_reason"] = nullptr;
    message["stop_sequence"] = nullptr;
    Usage usage = answers.front().usage();
    usage.completion_tokens = 0;
    message["usage"] = usage_object(usage);
    return sse_event("message_start", {{"type", "message_start"}, {"message", std::move(message)}});
  }

  std::string progress(const Answer& /*answer*/, const AnswerProgress& progress) override {
    std::string out;
    for (const text::SectionEvent& piece : progress.pieces) {
      const bool thought = piece.kind == text::SectionKind::kThinking;
      if (open_ != thought) {
        out += close_block();
        out += open_block(thought);
      }
      out += delta(thought ? Json{{"type", "thinking_delta"}, {"thinking", piece.text}}
                           : Json{{"type", "text_delta"}, {"text", piece.text}});
    }
    return out;
  }

  std::string end(const std::vector<Answer>& answers) override {
    std::string out;
    if (!open_ && index_ == 0) out += open_block(false);  // nothing was said
    out += close_block();
    const AnswerChoice& choice = answers.front().choices().front();
    out += sse_event("message_delta", {{"type", "message_delta"},
                                       {"delta", stop_fields(choice)},
                                       {"usage", usage_object(answers.front().usage())}});
    return out + sse_event("message_stop", {{"type", "message_stop"}});
  }

  std::string error(const ApiError& error) const override {
    return sse_event("error", error_object(error, {}));
  }
  std::string keep_alive() const override { return sse_event("ping", {{"type", "ping"}}); }

  HttpReply whole(const std::vector<Answer>& answers) override {
    const AnswerChoice& choice = answers.front().choices().front();
    Json message = head();
    message["content"] = Json::array();
    if (!choice.reasoning.empty()) {
      message["content"].push_back(
          {{"type", "thinking"}, {"thinking", choice.reasoning}, {"signature", kSignature}});
    }
    if (!choice.content.empty() || choice.reasoning.empty()) {
      message["content"].push_back({{"type", "text"}, {"text", choice.content}});
    }
    message.update(stop_fields(choice));
    message["usage"] = usage_object(answers.front().usage());
    return {.body = dump(message)};
  }

 private:
  Json head() const {
    return {{"id", id_}, {"type", "message"}, {"role", "assistant"}, {"model", model_}};
  }
  static Json usage_object(const Usage& usage) {
    return {{"input_tokens", usage.cache_miss_tokens},
            {"cache_creation_input_tokens", 0},
            {"cache_read_input_tokens", usage.cache_hit_tokens},
            {"output_tokens", usage.completion_tokens}};
  }
  static Json stop_fields(const AnswerChoice& choice) {
    const bool at_stop = !choice.ending.stop.empty();
    return {{"stop_reason", at_stop                                      ? "stop_sequence"
                            : choice.ending.reason == FinishReason::stop ? "end_turn"
                                                                         : "max_tokens"},
            {"stop_sequence", at_stop ? Json(choice.ending.stop) : Json(nullptr)}};
  }
  std::string delta(Json fields) const {
    return sse_event(
        "content_block_delta",
        {{"type", "content_block_delta"}, {"index", index_}, {"delta", std::move(fields)}});
  }
  std::string open_block(bool thought) {
    open_ = thought;
    return sse_event(
        "content_block_start",
        {{"type", "content_block_start"},
         {"index", index_},
         {"content_block", thought ? Json{{"type", "thinking"}, {"thinking", ""}, {"signature", ""}}
                                   : Json{{"type", "text"}, {"text", ""}}}});
  }
  std::string close_block() {
    if (!open_) return {};
    std::string out;
    if (*open_) out += delta({{"type", "signature_delta"}, {"signature", kSignature}});
    out += sse_event("content_block_stop", {{"type", "content_block_stop"}, {"index", index_}});
    open_.reset();
    ++index_;
    return out;
  }

  std::string model_;
  std::string id_ = "msg_" + random_id();
  std::optional<bool> open_;  // whether the block that is open is of thinking
  std::size_t index_ = 0;
};

HandlerResult messages(const HttpRequest& http, const Key& /*key*/, const Services& services) {
  const nlohmann::json body = read_body(http, services.config.limits);
  const Fields fields(body);
  GenerationRequest request = read_request(fields, false);
  fields.check_unknown(services.config.strict_fields);
  const CatalogEntry& model = services.catalog.find(request.model);
  if (!model.thinks() && request.thinking.enabled == false) request.thinking.enabled.reset();
  // The API's least budget, for contexts that have the room.
  if (request.thinking.budget && *request.thinking.budget < kLeastBudget &&
      model.context() > 4 * kLeastBudget) {
    refuse("thinking.budget_tokens",
           fmt::format("'budget_tokens' must be at least {}", kLeastBudget));
  }
  Call call;
  call.stream = fields.flag("stream").value_or(false);
  call.writer = std::make_unique<Writer>(request.model);
  call.requests.push_back(std::move(request));
  return call;
}

HandlerResult count_tokens(const HttpRequest& http, const Key& /*key*/, const Services& services) {
  const nlohmann::json body = read_body(http, services.config.limits);
  const Fields fields(body);
  GenerationRequest request = read_request(fields, true);
  const CatalogEntry& model = services.catalog.find(request.model);
  request.thinking = {};
  const PreparedRequest prepared = prepare(request, model, services.config);
  return HttpReply{.body = dump({{"input_tokens", prepared.prompt.size()}})};
}

}  // namespace

HttpReply error_reply(const ApiError& error, const HttpRequest& request) {
  HttpReply reply;
  reply.status = error.kind == ApiError::Kind::overloaded ? 529 : error.status();
  reply.body = dump(error_object(error, request.id));
  return reply;
}

void add_routes(std::vector<Route>& routes) {
  for (const std::string base : {"/v1", "/anthropic/v1"}) {
    routes.push_back({"POST", base + "/messages", error_reply, messages});
    routes.push_back({"POST", base + "/messages/count_tokens", error_reply, count_tokens});
  }
}

}  // namespace r1::serve::anthropic
