#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "serve/accounts/usage.h"

namespace r1::serve {

// One HTTP request that has ended, as metrics count it and the log tells it. Times in seconds.
struct RequestRecord {
  std::string id = {};        // what x-request-id said
  std::string key_id = {};    // empty without keys
  std::string endpoint = {};  // the route's pattern, never the path that a client sent
  std::string model = {};     // empty where none is asked
  int status = 0;             // of HTTP
  std::string finish_reason =
      {};                  // "stop", "length", "tool_calls", "abort"; empty if nothing was made
  std::string error = {};  // why there was none, a refusal's code; empty if it went well
  Usage usage = {};
  std::int64_t choices = 1, max_tokens = 0;
  double total = 0;  // from the request's last byte in to the reply's last byte out
  // Of the first choice, as far as it came: waiting for a place, reading the prompt, writing.
  std::optional<double> queue = {}, prefill = {}, decode = {};
  std::optional<double> time_to_first_token = {};
  std::string prompt = {}, reply = {};  // the texts, for a log that was asked to keep them
};

}  // namespace r1::serve
