#include "serve/dialects/page.h"

#include <fmt/format.h>

#include "formats/json.h"
#include "serve/dialects/openai.h"
#include "serve/web_page.h"

namespace r1::serve {
namespace {

HandlerResult show(const HttpRequest& request, const Key& /*key*/, const Services& /*services*/) {
  const WebFile* file = find_web_file(request.path);
  if (file == nullptr) {
    throw ApiError(ApiError::Kind::not_found, fmt::format("there is no {}", excerpt(request.path)));
  }
  HttpReply reply;
  reply.type = file->content_type;
  reply.headers = {
      {"ETag", std::string(file->etag)},
      {"Content-Security-Policy", std::string(content_security_policy())},
      {"Referrer-Policy", "no-referrer"},
      {"Cache-Control", immutable(*file) ? "public, max-age=31536000, immutable" : "no-cache"}};
  if (request.header("if-none-match") == file->etag) {
    reply.status = 304;
  } else {
    reply.body.assign(reinterpret_cast<const char*>(file->bytes.data()), file->bytes.size());
  }
  return reply;
}

}  // namespace

void add_page_routes(std::vector<Route>& routes) {
  routes.push_back({"GET", "/", openai::error_reply, show, true});
  for (const WebFile& file : web_page()) {
    routes.push_back({"GET", std::string(file.path), openai::error_reply, show, true});
  }
}

}  // namespace r1::serve
