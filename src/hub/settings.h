#pragma once

#include <filesystem>
#include <string>

namespace r1::hub {

// Where models come from and where they are kept, under the environment variables that Hugging
// Face's own tools read.
struct Settings {
  std::filesystem::path cache;  // HF_HUB_CACHE, or HF_HOME/hub, or ~/.cache/huggingface/hub
  std::string endpoint;         // HF_ENDPOINT, without a slash at the end
  std::string token;         // HF_TOKEN, or the file HF_TOKEN_PATH, or HF_HOME/token; may be empty
  std::string certificates;  // SSL_CERT_FILE, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE; empty: system
  int attempts = 6;          // at what a cut connection interrupts, without a byte gained
  double pause = 1.0;        // seconds before the second attempt; doubles from then on
};

std::filesystem::path cache_from_environment();
// Throws Error for an endpoint that is no URL, or whose connection would be open to all (http to
// another machine), and for a token that cannot be sent.
Settings settings_from_environment();

}  // namespace r1::hub
