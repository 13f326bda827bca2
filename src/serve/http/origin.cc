#include "serve/http/origin.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "formats/json.h"

namespace r1::serve {
namespace {

// "name:8080" -> "name", "[::1]:8080" -> "::1"
std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.rfind(':'));
}

bool is_address(std::string_view host) {
  const std::string text(host);
  in6_addr address{};
  return inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool is_own_host(std::string_view authority, const ServerConfig& config) {
  const std::string_view host = host_of(authority);
  // An address cannot be made to point elsewhere.
  return host == "localhost" || is_address(host) || host == config.host ||
         std::ranges::find(config.hosts, host) != config.hosts.end() ||
         std::ranges::find(config.hosts, "*") != config.hosts.end();
}

}  // namespace

OriginVerdict judge_origin(const HttpRequest& request, const ServerConfig& config) {
  const std::string_view host = request.header("host");
  if (!host.empty() && !is_own_host(host, config)) {
    return {false,
            fmt::format("this server is not known as '{}'; add it to \"hosts\" of serve.yaml",
                        excerpt(host)),
            {}};
  }
  const std::string_view origin = request.header("origin");
  if (origin.empty()) {
    const bool from_elsewhere = request.header("sec-fetch-site") == "cross-site";
    const bool is_visit = request.method == "GET" && request.header("sec-fetch-mode") == "navigate";
    if (from_elsewhere && !is_visit) return {false, "a page of another site asks", {}};
    return {};
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme) && origin.substr(scheme.size()) == host) return {};
  }
  for (const std::string& known : config.origins) {
    if (known == "*" || known == origin) return {true, {}, std::string(origin)};
  }
  return {false,
          fmt::format("pages of '{}' may not ask this server; add it to \"origins\" of serve.yaml",
                      excerpt(origin)),
          {}};
}

}  // namespace r1::serve
