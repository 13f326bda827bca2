#include "serve/router.h"

#include <fmt/format.h>

#include <algorithm>

#include "formats/json.h"
#include "serve/dialects/openai.h"

namespace r1::serve {
namespace {

bool matches(std::string_view pattern, std::string_view path) {
  const std::size_t brace = pattern.find('{');
  if (brace == pattern.npos) return pattern == path;
  return path.size() > brace && path.starts_with(pattern.substr(0, brace));
}

std::string_view method_of(const HttpRequest& request) {
  return request.method == "HEAD" ? "GET" : std::string_view(request.method);
}

// "/api/chat" -> "/api/"
std::string_view first_folder(std::string_view path) {
  const std::size_t second = path.find('/', 1);
  return path.substr(0, second == path.npos ? path.size() : second + 1);
}

}  // namespace

const Route& Router::find(const HttpRequest& request) const {
  bool other_method = false;
  for (const Route& route : routes_) {
    if (!matches(route.pattern, request.path)) continue;
    if (route.method == method_of(request)) return route;
    other_method = true;
  }
  if (other_method) {
    throw ApiError(ApiError::Kind::bad_method,
                   fmt::format("{} cannot be asked by {}; it takes {}", excerpt(request.path),
                               excerpt(request.method), methods(request.path)));
  }
  throw ApiError(ApiError::Kind::not_found,
                 fmt::format("there is no {} {}", excerpt(request.method), excerpt(request.path)));
}

ErrorWriter Router::error_writer(const HttpRequest& request) const {
  for (const Route& route : routes_) {
    if (matches(route.pattern, request.path)) return route.error;
  }
  for (const Route& route : routes_) {
    if (first_folder(route.pattern) == first_folder(request.path)) return route.error;
  }
  return openai::error_reply;
}

std::string Router::methods(const std::string& path) const {
  std::string methods;
  for (const Route& route : routes_) {
    if (!matches(route.pattern, path)) continue;
    if (!methods.empty()) methods += ", ";
    methods += route.method;
    if (route.method == "GET") methods += ", HEAD";
  }
  return methods;
}

}  // namespace r1::serve
