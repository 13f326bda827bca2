#include "hub/settings.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "hub/url.h"

namespace r1::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxTokenBytes = 4096;

// The first of these variables that is set to something.
std::string variable(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

fs::path home_directory() {
  const std::string home = variable({"HOME"});
  if (home.empty()) {
    throw Error("HOME", "is not set, so there is no place for models", "set HF_HOME to a folder");
  }
  return home;
}

fs::path expand_home(const std::string& path) {
  return path.starts_with("~/") ? home_directory() / path.substr(2) : fs::path(path);
}

fs::path hugging_face_home() {
  if (const std::string given = variable({"HF_HOME"}); !given.empty()) return expand_home(given);
  const std::string caches = variable({"XDG_CACHE_HOME"});
  return (caches.empty() ? home_directory() / ".cache" : expand_home(caches)) / "huggingface";
}

std::string trimmed(std::string text) {
  constexpr std::string_view kBlank = " \t\r\n";
  text.erase(std::min(text.find_last_not_of(kBlank) + 1, text.size()));
  text.erase(0, text.find_first_not_of(kBlank));
  return text;
}

std::string read_token() {
  std::string token = variable({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"});
  std::string where = "HF_TOKEN";
  if (token.empty()) {
    const std::string given = variable({"HF_TOKEN_PATH"});
    const fs::path file = given.empty() ? hugging_face_home() / "token" : expand_home(given);
    std::error_code ignored;
    if (!fs::exists(file, ignored)) return {};
    where = file.string();
    token = read_text_file(file, kMaxTokenBytes);
  }
  token = trimmed(std::move(token));
  // It becomes part of a header.
  const auto printable = [](char c) { return c > 0x20 && c < 0x7f; };
  if (token.size() > kMaxTokenBytes || !std::ranges::all_of(token, printable)) {
    throw Error(where, "is not a token", "give it as the hub shows it, on one line");
  }
  return token;
}

std::string read_endpoint() {
  std::string endpoint = variable({"HF_ENDPOINT"});
  if (endpoint.empty()) return "https://huggingface.co";
  while (endpoint.ends_with('/')) endpoint.pop_back();
  try {
    const Url url = parse_url(endpoint);
    if (url.scheme == "https" || url.is_loopback()) return endpoint;
  } catch (const Error& error) {
    throw Error("HF_ENDPOINT", error.what(), "give a URL like https://huggingface.co");
  }
  throw Error("HF_ENDPOINT", fmt::format("{} sends everything unencrypted", endpoint),
              "use https; http is for this machine itself");
}

}  // namespace

fs::path cache_from_environment() {
  const std::string given = variable({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  return given.empty() ? hugging_face_home() / "hub" : expand_home(given);
}

Settings settings_from_environment() {
  Settings settings;
  settings.cache = cache_from_environment();
  settings.endpoint = read_endpoint();
  settings.token = read_token();
  settings.certificates = variable({"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"});
  return settings;
}

}  // namespace r1::hub
