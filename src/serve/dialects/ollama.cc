#include "serve/dialects/ollama.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "formats/json.h"
#include "serve/dialects/openai.h"

namespace r1::serve::ollama {
namespace {

constexpr std::string_view kVersion = "0.12.0";  // of the API that is spoken

std::int64_t nanoseconds(double seconds) { return std::llround(seconds * 1e9); }

std::string line(const Json& json) { return dump(json) + "\n"; }

// "5m", "1h30m", "300ms" or seconds as a number; negative: for ever.
std::int64_t read_keep_alive(const nlohmann::json& value) {
  if (value.is_number()) {
    const auto seconds = value.get<double>();
    return seconds < 0 ? -1 : static_cast<std::int64_t>(std::min(seconds, 1e9));
  }
  const auto wrong = [] { refuse("keep_alive", "'keep_alive' must be seconds or like \"5m\""); };
  if (!value.is_string()) wrong();
  std::string_view text = value.get_ref<const std::string&>();
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty()) wrong();
  double seconds = 0.0;
  while (!text.empty()) {
    std::size_t used = 0;
    double number = 0.0;
    try {
      number = std::stod(std::string(text), &used);
    } catch (const std::exception&) {
      wrong();
    }
    text.remove_prefix(used);
    struct Unit {
      std::string_view name;
      double seconds;
    };
    constexpr Unit kUnits[] = {{"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9},
                               {"s", 1.0},   {"m", 60.0},  {"h", 3600.0}};
    const Unit* found = nullptr;
    for (const Unit& unit : kUnits) {
      if (text.starts_with(unit.name)) {
        found = &unit;
        break;
      }
    }
    if (found == nullptr && text.empty()) found = &kUnits[3];
    if (found == nullptr) wrong();
    seconds += number * found->seconds;
    text.remove_prefix(std::min(text.size(), found->name.size()));
  }
  if (!(seconds >= 0.0)) wrong();
  return negative ? -1 : static_cast<std::int64_t>(std::ceil(std::min(seconds, 1e9)));
}

void read_options(const Fields& fields, GenerationRequest& request) {
  const auto options = fields.object("options");
  if (!options) return;
  openai::read_sampling(*options, request);
  const auto predict =
      options->integer("num_predict", -2, std::numeric_limits<std::int32_t>::max());
  if (predict && *predict >= 0) request.max_tokens = std::max<std::int64_t>(1, *predict);
  if (const auto last = options->integer("repeat_last_n", -1, 1 << 30);
      last && *last >= 0 && request.repetition_penalty.value_or(1.0f) != 1.0f) {
    refuse_unsupported("options.repeat_last_n",
                       "a penalty on the last tokens alone (-1 counts all)");
  }
  options->refuse_others({"typical_p", "tfs_z", "mirostat"});
  // How memory is laid out is decided when the server starts.
  for (const std::string_view ignored :
       {"num_ctx", "num_keep", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "numa",
        "low_vram", "vocab_only", "use_mlock", "penalize_newline"}) {
    options->find(ignored);
  }
}

void read_think(const Fields& fields, ThinkingWish& wish, bool& shown) {
  const nlohmann::json* think = fields.find("think");
  if (think == nullptr) return;
  if (think->is_boolean()) {
    wish.enabled = think->get<bool>();
  } else if (think->is_string()) {
    openai::set_effort(think->get<std::string>(), "think", wish);
  } else {
    refuse("think", "'think' must be true, false, \"low\", \"medium\", \"high\" or \"max\"");
  }
  shown = wish.enabled.value_or(true);
}

void refuse_rest(const Fields& fields) {
  fields.refuse_others({"tools", "format", "images", "suffix", "context", "template"});
}

struct WriterOptions {
  std::string model;
  bool is_chat = true;
  bool shows_thinking = true;
  bool log_probs = false;
};

class Writer final : public AnswerWriter {
 public:
  explicit Writer(WriterOptions options) : options_(std::move(options)) {}

  std::string_view stream_type() const override { return "application/x-ndjson"; }
  // Nothing may stand between the lines.
  std::string keep_alive() const override { return {}; }

  std::string progress(const Answer& answer, const AnswerProgress& progress) override {
    std::string thinking, content;
    for (const text::SectionEvent& piece : progress.pieces) {
      (piece.kind == text::SectionKind::kThinking ? thinking : content) += piece.text;
    }
    if (!options_.shows_thinking) thinking.clear();
    std::string out;
    if (!thinking.empty()) out += line(message(thinking, {}));
    Json log_probs;
    if (options_.log_probs && progress.token && !progress.token->tag) {
      log_probs = Json::array({log_prob(*progress.token, answer)});
    }
    if (!content.empty() || !log_probs.is_null()) {
      Json object = message({}, content);
      if (!log_probs.is_null()) object["logprobs"] = std::move(log_probs);
      out += line(object);
    }
    return out;
  }

  std::string end(const std::vector<Answer>& answers) override {
    Json object = message({}, {});
    add_end(answers.front(), object);
    return line(object);
  }

  std::string error(const ApiError& error) const override {
    return line({{"error", error.what()}});
  }

  HttpReply whole(const std::vector<Answer>& answers) override {
    const Answer& answer = answers.front();
    const AnswerChoice& choice = answer.choices().front();
    Json object = message(options_.shows_thinking ? choice.reasoning : "", choice.content);
    if (options_.log_probs) {
      object["logprobs"] = Json::array();
      for (const AnswerToken& token : choice.tokens) {
        if (!token.tag) object["logprobs"].push_back(log_prob(token, answer));
      }
    }
    add_end(answer, object);
    return {.body = dump(object)};
  }

 private:
  Json message(const std::string& thinking, const std::string& content) const {
    Json object = {{"model", options_.model}, {"created_at", rfc3339_now()}};
    if (options_.is_chat) {
      Json inner = {{"role", "assistant"}, {"content", content}};
      if (!thinking.empty()) inner["thinking"] = thinking;
      object["message"] = std::move(inner);
    } else {
      object["response"] = content;
      if (!thinking.empty()) object["thinking"] = thinking;
    }
    object["done"] = false;
    return object;
  }

  static Json log_prob(const AnswerToken& token, const Answer& answer) {
    return openai::token_log_prob(token, answer.model().side.tokenizer);
  }

  static void add_end(const Answer& answer, Json& object) {
    const AnswerStarted& started = answer.started();
    const AnswerChoice& choice = answer.choices().front();
    const double before = started.queue_seconds + started.load_seconds + started.prefill_seconds;
    object["done"] = true;
    object["done_reason"] = openai::finish_reason(choice.ending.reason);
    object["total_duration"] = nanoseconds(answer.seconds());
    object["load_duration"] = nanoseconds(started.load_seconds);
    object["prompt_eval_count"] = answer.prompt().size();
    object["prompt_eval_duration"] = nanoseconds(started.prefill_seconds);
    object["eval_count"] = choice.tokens.size();
    object["eval_duration"] = nanoseconds(answer.seconds() - before);
  }

  WriterOptions options_;
};

std::string read_model(const Fields& fields) {
  // Older clients say "name".
  const auto model = fields.has("model") ? fields.text("model") : fields.text("name");
  if (!model || model->empty()) refuse("model", "model is required");
  return *model;
}

// What chat and generate have in common.
Call make_call(const Fields& fields, GenerationRequest request, WriterOptions options,
               const Services& services) {
  read_options(fields, request);
  read_think(fields, request.thinking, options.shows_thinking);
  refuse_rest(fields);
  request.log_probs = options.log_probs = fields.flag("logprobs").value_or(false);
  request.alternatives = fields.integer("top_logprobs", 0, 20).value_or(0);
  for (const std::string_view ignored : {"truncate", "shift"}) fields.find(ignored);
  services.catalog.find(request.model);
  options.model = request.model;
  Call call;
  if (const nlohmann::json* keep = fields.find("keep_alive")) {
    call.keep_alive = read_keep_alive(*keep);
  }
  call.stream = fields.flag("stream").value_or(true);
  fields.check_unknown(services.config.strict_fields);
  call.requests.push_back(std::move(request));
  call.writer = std::make_unique<Writer>(std::move(options));
  return call;
}

// Without anything to answer the model is loaded, or with keep_alive 0 unloaded.
HandlerResult load_or_unload(const Fields& fields, const std::string& name, bool is_chat,
                             const Services& services) {
  const CatalogEntry& model = services.catalog.find(name);
  Json object = {{"model", name}, {"created_at", rfc3339_now()}};
  if (is_chat) {
    object["message"] = {{"role", "assistant"}, {"content", ""}};
  } else {
    object["response"] = "";
  }
  object["done"] = true;
  std::optional<std::int64_t> keep;
  if (const nlohmann::json* given = fields.find("keep_alive")) keep = read_keep_alive(*given);
  object["done_reason"] = keep == 0 ? "unload" : "load";
  HttpReply reply{.body = dump(object)};
  if (keep == 0) {
    services.engines.unload(model);
    return reply;
  }
  return LoadCall{&model, keep, std::move(reply)};
}

HandlerResult chat(const HttpRequest& http, const Key& /*key*/, const Services& services) {
  const nlohmann::json body = read_body(http, services.config.limits);
  const Fields fields(body);
  GenerationRequest request;
  request.model = read_model(fields);
  const nlohmann::json* messages = fields.array("messages");
  if (messages == nullptr || messages->empty()) {
    return load_or_unload(fields, request.model, true, services);
  }
  Conversation conversation;
  for (std::size_t i = 0; i < messages->size(); ++i) {
    const Fields message((*messages)[i], fmt::format("messages[{}]", i));
    message.refuse_others({"images", "tool_calls"});
    message.require("role");
    Turn turn{*message.text("role"), message.text("content").value_or(""),
              message.text("thinking").value_or("")};
    if (turn.role == "tool") refuse_unsupported(message.name("role"), "calling tools");
    if (turn.role != "system" && turn.role != "user" && turn.role != "assistant") {
      refuse(message.name("role"), fmt::format("invalid role: '{}'", excerpt(turn.role)));
    }
    conversation.turns.push_back(std::move(turn));
  }
  request.input = std::move(conversation);
  return make_call(fields, std::move(request), {.model = {}, .is_chat = true}, services);
}

HandlerResult generate(const HttpRequest& http, const Key& /*key*/, const Services& services) {
  const nlohmann::json body = read_body(http, services.config.limits);
  const Fields fields(body);
  GenerationRequest request;
  request.model = read_model(fields);
  const std::string prompt = fields.text("prompt").value_or("");
  if (prompt.empty()) return load_or_unload(fields, request.model, false, services);
  const std::string system = fields.text("system").value_or("");
  if (fields.flag("raw").value_or(false)) {
    if (!system.empty()) refuse("system", "a raw prompt has no place for it");
    request.input = BarePrompt{prompt};
    request.show_tags = true;
  } else {
    Conversation conversation;
    if (!system.empty()) conversation.turns.push_back({"system", system, {}});
    conversation.turns.push_back({"user", prompt, {}});
    request.input = std::move(conversation);
  }
  return make_call(fields, std::move(request), {.model = {}, .is_chat = false}, services);
}

std::string parameter_size(const CatalogEntry& entry) {
  std::int64_t values = 0;
  for (const auto& [type, count] : entry.contents.values) values += count;
  const auto count = static_cast<double>(values);
  return count >= 1e9 ? fmt::format("{:.1f}B", count / 1e9) : fmt::format("{:.1f}M", count / 1e6);
}

// The type that most of the weights have.
std::string quantization(const CatalogEntry& entry) {
  std::pair<std::string, std::int64_t> most;
  for (const auto& type : entry.contents.values) {
    if (type.second > most.second) most = type;
  }
  return most.first;
}

std::string_view family(const CatalogEntry& entry) {
  return entry.config.has_latent_attention() ? "deepseek" : "llama";
}

Json details(const CatalogEntry& entry) {
  return {{"parent_model", ""},
          {"format", is_gguf(entry.path) ? "gguf" : "safetensors"},
          {"family", family(entry)},
          {"families", Json::array({family(entry)})},
          {"parameter_size", parameter_size(entry)},
          {"quantization_level", quantization(entry)},
          {"context_length", entry.context()},
          {"embedding_length", entry.config.hidden_size}};
}

Json capabilities(const CatalogEntry& entry) {
  Json list = Json::array({"completion"});
  if (entry.thinks()) list.push_back("thinking");
  return list;
}

std::string tagged(const std::string& name) {
  return name.find(':') == name.npos ? name + ":latest" : name;
}

Json listed(const CatalogEntry& entry, const std::string& name) {
  return {{"name", tagged(name)},
          {"model", tagged(name)},
          {"modified_at", rfc3339(entry.modified)},
          {"size", entry.file_bytes},
          {"digest", entry.digest},
          {"details", details(entry)},
          {"capabilities", capabilities(entry)}};
}

HandlerResult tags(const HttpRequest& /*http*/, const Key& key, const Services& services) {
  Json models = Json::array();
  for (const auto& entry : services.catalog.entries()) {
    if (!key.may_use(entry->name)) continue;
    for (const std::string& name : entry->names()) models.push_back(listed(*entry, name));
  }
  return HttpReply{.body = dump({{"models", std::move(models)}})};
}

HandlerResult show(const HttpRequest& http, const Key& /*key*/, const Services& services) {
  const nlohmann::json body = read_body(http, services.config.limits);
  const Fields fields(body);
  const CatalogEntry& entry = services.catalog.find(read_model(fields));
  const SamplingParams& sampling = entry.side.sampling;
  const std::string architecture(family(entry));
  const Json info = {{"general.architecture", architecture},
                     {"general.basename", entry.name},
                     {architecture + ".context_length", entry.context()},
                     {architecture + ".embedding_length", entry.config.hidden_size},
                     {architecture + ".block_count", entry.config.num_hidden_layers},
                     {architecture + ".attention.head_count", entry.config.num_attention_heads},
                     {architecture + ".vocab_size", entry.config.vocab_size}};
  return HttpReply{.body = dump({{"modelfile", fmt::format("FROM {}\n", entry.name)},
                                 {"parameters", fmt::format("temperature {}\ntop_p {}\ntop_k {}",
                                                            sampling.temperature, sampling.top_p,
                                                            sampling.top_k)},
                                 {"template", entry.side.form.name()},
                                 {"details", details(entry)},
                                 {"model_info", info},
                                 {"capabilities", capabilities(entry)},
                                 {"modified_at", rfc3339(entry.modified)}})};
}

HandlerResult ps(const HttpRequest& /*http*/, const Key& key, const Services& services) {
  constexpr std::int64_t kForEver = 253402300799;  // the end of the year 9999
  Json models = Json::array();
  for (const ModelState& state : services.engines.states()) {
    if (!state.loaded || !key.may_use(state.entry->name)) continue;
    models.push_back({{"name", tagged(state.entry->name)},
                      {"model", tagged(state.entry->name)},
                      {"size", state.bytes},
                      {"digest", state.entry->digest},
                      {"details", details(*state.entry)},
                      {"expires_at", rfc3339(state.expires > 0 ? state.expires : kForEver)},
                      {"size_vram", 0},
                      {"context_length", state.entry->context()}});
  }
  return HttpReply{.body = dump({{"models", std::move(models)}})};
}

HandlerResult version(const HttpRequest& /*http*/, const Key& /*key*/,
                      const Services& /*services*/) {
  return HttpReply{.body = dump({{"version", kVersion}})};
}

// Models come to a server when it is started (and to the machine by `r1 pull`).
HandlerResult not_here(const HttpRequest& http, const Key& /*key*/, const Services& /*services*/) {
  throw ApiError(ApiError::Kind::unsupported,
                 fmt::format("{} is not offered: the models are those that the server was started "
                             "with; r1 pull brings further ones",
                             http.path));
}

}  // namespace

HttpReply error_reply(const ApiError& error, const HttpRequest& /*request*/) {
  return {.status = error.status(), .body = dump({{"error", error.what()}})};
}

void add_routes(std::vector<Route>& routes) {
  routes.push_back({"POST", "/api/chat", error_reply, chat});
  routes.push_back({"POST", "/api/generate", error_reply, generate});
  routes.push_back({"GET", "/api/tags", error_reply, tags});
  routes.push_back({"POST", "/api/show", error_reply, show});
  routes.push_back({"GET", "/api/ps", error_reply, ps});
  routes.push_back({"GET", "/api/version", error_reply, version});
  for (const char* path : {"/api/pull", "/api/push", "/api/create", "/api/copy"}) {
    routes.push_back({"POST", path, error_reply, not_here});
  }
  routes.push_back({"DELETE", "/api/delete", error_reply, not_here});
}

}  // namespace r1::serve::ollama
