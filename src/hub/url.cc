#include "hub/url.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/progress_text.h"

namespace r1::hub {
namespace {

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Handle = std::unique_ptr<CURLU, FreeUrl>;

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) return {};
  std::string copy = text;
  curl_free(text);
  return copy;
}

// Locations are resolved by setting them on top of the base.
Url parse(const std::string& base, const std::string& text) {
  const Handle handle(curl_url());
  CURLUcode code = CURLUE_OK;
  if (!base.empty()) code = curl_url_set(handle.get(), CURLUPART_URL, base.c_str(), 0);
  if (code == CURLUE_OK) code = curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), 0);
  const std::string shown = fit_to_width(text, 80);
  if (code != CURLUE_OK) throw Error(shown, "is not a URL");
  if (!part(handle.get(), CURLUPART_USER).empty()) {
    throw Error("URL", "has a user name in it", "give the hub's token in HF_TOKEN");
  }
  Url url{part(handle.get(), CURLUPART_URL), part(handle.get(), CURLUPART_SCHEME),
          part(handle.get(), CURLUPART_HOST),
          part(handle.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT)};
  std::ranges::transform(url.host, url.host.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  if (url.scheme != "https" && url.scheme != "http") {
    throw Error(shown, "is neither an https nor an http URL");
  }
  return url;
}

}  // namespace

bool Url::same_origin(const Url& other) const {
  return scheme == other.scheme && host == other.host && port == other.port;
}

bool Url::is_loopback() const {
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

Url parse_url(const std::string& text) { return parse({}, text); }

Url resolve_url(const Url& base, const std::string& location) { return parse(base.text, location); }

std::string escape_path(std::string_view path) {
  std::string escaped;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    if (plain) {
      escaped += c;
    } else {
      escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return escaped;
}

}  // namespace r1::hub
