#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"
#include "serve/accounts/price_table.h"
#include "serve/limits.h"

namespace r1::serve {

struct ModelEntry {
  std::string name;  // empty: from the path
  std::filesystem::path path;
  std::vector<std::string> aliases = {};
  // Further names, under which it does not think unless a request asks for it (DeepSeek's
  // deepseek-chat beside deepseek-reasoner).
  std::vector<std::string> quick_aliases = {};
};

// The name under which thinking is given out by OpenAI's chat API; all are read.
enum class ReasoningField { reasoning_content, reasoning, both, none };

// What a server is told: serve.yaml, overridden by the command line.
struct ServerConfig {
  std::vector<ModelEntry> models;

  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;                                      // 0: any that is free
  std::optional<std::filesystem::path> tls_certificate, tls_key;  // PEM; both or none
  std::vector<std::string> origins;  // pages of other origins that may ask; "*": all
  std::vector<std::string> hosts;    // names under which the server is reached, beside its own
  std::optional<std::filesystem::path> keys;  // the file of keys and usage; none: no keys are asked
  PriceTable prices;
  std::optional<std::filesystem::path> log;  // of requests; none: standard error

  int threads = 0;  // that compute; 0: all
  LoadOptions load;
  KvStorage kv_storage = KvStorage::plain;
  std::int64_t memory = 0;        // bytes for models; 0: three quarters of the machine's
  std::int64_t keep_alive = 300;  // seconds that an idle model stays loaded; negative: for ever
  Limits limits;

  ReasoningField reasoning_field = ReasoningField::reasoning_content;
  bool refuse_fed_back_reasoning = false;  // as DeepSeek's API of January 2025: 400
  bool strict_fields = false;              // unknown fields of a request: 400
  bool stop_cycles = true;
  std::string wind_down = "\n\nI have to stop thinking here and answer.\n";
  bool log_prompts = false;
};

// Throws Error naming the file, the key and a suggestion.
ServerConfig read_server_config(const std::filesystem::path& path);

}  // namespace r1::serve
