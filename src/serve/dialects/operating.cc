// What operators and llama-server's clients ask: /health, /ready, /props, /slots, /tokenize,
// /detokenize, /metrics.

#include "serve/dialects/operating.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "serve/dialects/openai.h"
#include "text/stream_decoder.h"

namespace r1::serve {
namespace {

constexpr std::size_t kMaxIds = std::size_t{1} << 20;

HandlerResult health(const HttpRequest& /*request*/, const Key& /*key*/,
                     const Services& /*services*/) {
  return HttpReply{.body = dump({{"status", "ok"}})};
}

// Whether new requests are taken.
HandlerResult ready(const HttpRequest& /*request*/, const Key& /*key*/, const Services& services) {
  if (services.engines.draining()) {
    throw ApiError(ApiError::Kind::overloaded, "the server is shutting down", {}, "shutting_down");
  }
  if (!services.accounts.ready()) {
    throw ApiError(ApiError::Kind::overloaded, "usage cannot be recorded", {}, "ledger");
  }
  return HttpReply{.body = dump({{"status", "ready"}})};
}

const CatalogEntry& model_of(const HttpRequest& request, const Services& services) {
  const auto given = request.query.find("model");
  return services.catalog.find(given == request.query.end() ? "" : given->second);
}

HandlerResult props(const HttpRequest& request, const Key& /*key*/, const Services& services) {
  const CatalogEntry& entry = model_of(request, services);
  const SamplingParams& sampling = entry.side.sampling;
  const Json object = {{"default_generation_settings",
                        {{"n_ctx", entry.context()},
                         {"params",
                          {{"temperature", sampling.temperature},
                           {"top_k", sampling.top_k},
                           {"top_p", sampling.top_p},
                           {"min_p", sampling.min_p}}}}},
                       {"total_slots", services.config.limits.running_sequences},
                       {"model_alias", entry.name},
                       {"model_path", entry.path.filename().string()},
                       {"chat_template", entry.side.form.name()},
                       {"modalities", {{"vision", false}, {"audio", false}}},
                       {"build_info", "r1.cpp"},
                       {"is_sleeping", false}};
  return HttpReply{.body = dump(object)};
}

// A slot is a sequence that could run: there are as many as may at once.
HandlerResult slots(const HttpRequest& request, const Key& /*key*/, const Services& services) {
  const CatalogEntry& entry = model_of(request, services);
  std::int64_t running = 0;
  for (const ModelState& state : services.engines.states()) {
    if (state.entry == &entry) running = state.running;
  }
  const std::int64_t all = services.config.limits.running_sequences;
  if (running >= all && request.query.contains("fail_on_no_slot")) {
    throw ApiError(ApiError::Kind::overloaded, "no slot is free");
  }
  Json list = Json::array();
  for (std::int64_t i = 0; i < all; ++i) {
    list.push_back({{"id", i}, {"n_ctx", entry.context()}, {"is_processing", i < running}});
  }
  return HttpReply{.body = dump(list)};
}

HandlerResult tokenize(const HttpRequest& request, const Key& /*key*/, const Services& services) {
  const nlohmann::json body = read_body(request, services.config.limits);
  const Fields fields(body);
  const CatalogEntry& entry = services.catalog.find(fields.text("model").value_or(""));
  const text::Tokenizer& tokenizer = entry.side.tokenizer;
  // llama-server's word, or vLLM's.
  const auto content = fields.has("content") ? fields.text("content") : fields.text("prompt");
  if (!content) refuse("content", "you must provide the parameter 'content'");
  const bool special =
      fields.flag("add_special").value_or(fields.flag("add_special_tokens").value_or(false));
  const std::vector<std::int32_t> ids = tokenizer.encode(
      *content, {.add_bos = special, .parse_special = fields.flag("parse_special").value_or(true)});
  Json tokens = Json::array();
  for (const std::int32_t id : ids) {
    if (!fields.flag("with_pieces").value_or(false)) {
      tokens.push_back(id);
      continue;
    }
    const std::string_view bytes = tokenizer.token_bytes(id);
    Json piece = std::string(bytes);
    if (!is_utf8(bytes)) {
      piece = Json::array();
      for (const char byte : bytes) piece.push_back(static_cast<unsigned char>(byte));
    }
    tokens.push_back({{"id", id}, {"piece", std::move(piece)}});
  }
  return HttpReply{.body = dump({{"tokens", std::move(tokens)},
                                 {"count", ids.size()},
                                 {"max_model_len", entry.context()}})};
}

HandlerResult detokenize(const HttpRequest& request, const Key& /*key*/, const Services& services) {
  const nlohmann::json body = read_body(request, services.config.limits);
  const Fields fields(body);
  const text::Tokenizer& tokenizer =
      services.catalog.find(fields.text("model").value_or("")).side.tokenizer;
  fields.require("tokens");
  const nlohmann::json& list = *fields.array("tokens");
  if (list.size() > kMaxIds) refuse("tokens", "there are too many tokens");
  std::vector<std::int32_t> ids;
  for (const nlohmann::json& item : list) {
    if (!item.is_number_integer() || item.get<std::int64_t>() < 0 ||
        item.get<std::int64_t>() >= tokenizer.vocab_size()) {
      refuse("tokens",
             fmt::format("'tokens' must be ids below the vocabulary's {}", tokenizer.vocab_size()));
    }
    ids.push_back(item.get<std::int32_t>());
  }
  const std::string text = text::repair_utf8(tokenizer.decode(ids));
  return HttpReply{.body = dump({{"content", text}, {"prompt", text}})};
}

HandlerResult metrics(const HttpRequest& /*request*/, const Key& /*key*/,
                      const Services& services) {
  return HttpReply{.type = Metrics::kContentType, .body = services.metrics.text()};
}

// DeepSeek's: amounts are strings with two decimals.
HandlerResult balance(const HttpRequest& /*request*/, const Key& key, const Services& services) {
  const auto found = services.accounts.balance(key);
  Json infos = Json::array();
  if (found) {
    infos.push_back({{"currency", found->currency},
                     {"total_balance", found->amount.total().cents()},
                     {"granted_balance", found->amount.granted.cents()},
                     {"topped_up_balance", found->amount.topped_up.cents()}});
  }
  return HttpReply{.body = dump({{"is_available", !found || found->available},
                                 {"balance_infos", std::move(infos)}})};
}

}  // namespace

void add_operating_routes(std::vector<Route>& routes) {
  for (const char* path : {"/health", "/v1/health", "/ping"}) {
    routes.push_back({"GET", path, openai::error_reply, health, true});
  }
  routes.push_back({"GET", "/ready", openai::error_reply, ready});
  routes.push_back({"GET", "/props", openai::error_reply, props});
  routes.push_back({"GET", "/slots", openai::error_reply, slots});
  routes.push_back({"GET", "/metrics", openai::error_reply, metrics});
  routes.push_back({"POST", "/tokenize", openai::error_reply, tokenize});
  routes.push_back({"POST", "/detokenize", openai::error_reply, detokenize});
  routes.push_back({"GET", "/user/balance", openai::error_reply, balance});
}

}  // namespace r1::serve
