// GET /v1/models, with what vLLM and llama-server add to it.

#include <fmt/format.h>

#include "serve/dialects/openai.h"

namespace r1::serve::openai {
namespace {

Json model_object(const CatalogEntry& entry, const std::string& name) {
  std::int64_t values = 0;
  for (const auto& [type, count] : entry.contents.values) values += count;
  return {{"id", name},
          {"object", "model"},
          {"created", entry.modified},
          {"owned_by", "r1"},
          {"max_model_len", entry.context()},
          {"meta",
           {{"n_ctx_train", entry.context()},
            {"n_params", values},
            {"size", entry.file_bytes},
            {"n_vocab", entry.config.vocab_size},
            {"n_embd", entry.config.hidden_size},
            {"thinks", entry.thinks()}}}};
}

HandlerResult list(const HttpRequest& /*request*/, const Key& key, const Services& services) {
  Json data = Json::array();
  for (const auto& entry : services.catalog.entries()) {
    if (!key.may_use(entry->name)) continue;
    for (const std::string& name : entry->names()) data.push_back(model_object(*entry, name));
  }
  return HttpReply{.body = dump({{"object", "list"}, {"data", std::move(data)}})};
}

HandlerResult show(const HttpRequest& request, const Key& /*key*/, const Services& services) {
  const std::string name = request.path.substr(request.path.find("/models/") + 8);
  return HttpReply{.body = dump(model_object(services.catalog.find(name), name))};
}

}  // namespace

void add_model_routes(std::vector<Route>& routes) {
  for (const std::string base : {"/v1/models", "/models", "/beta/models"}) {
    routes.push_back({"GET", base, error_reply, list});
    routes.push_back({"GET", base + "/{id}", error_reply, show});
  }
}

}  // namespace r1::serve::openai
