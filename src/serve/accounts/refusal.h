#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace r1::serve {

// One rate limit as OpenAI's x-ratelimit-* headers tell it.
struct RateLimit {
  std::int64_t limit = 0, remaining = 0;   // per minute
  std::chrono::milliseconds until_full{};  // when `remaining` is `limit` again
};

struct RateLimits {
  std::optional<RateLimit> requests, tokens;  // only those that the key has

  // {"x-ratelimit-limit-requests", "60"}, ..., {"x-ratelimit-reset-tokens", "1m12.5s"}; for every
  // reply, refused or not.
  std::vector<std::pair<std::string, std::string>> headers() const;
};

// Why a request is not served. The defaults of status, type and code are OpenAI's
// (docs/operating.md lists them); a dialect with other words goes by `reason`.
struct Refusal {
  enum class Reason {
    missing_key,          // 401
    invalid_key,          // 401: unknown, expired, disabled or revoked (the message tells which)
    model_not_allowed,    // 403
    balance,              // 402
    requests_per_minute,  // 429
    tokens_per_minute,    // 429
    concurrency,          // 429
    daily_tokens,         // 429
    too_large,            // 400: more tokens than any request may have
    duplicate,            // 409: a request with this id is known
    no_price,             // 500: the price table has no entry for the model
    ledger,               // 503: usage cannot be written at the moment
  };
  Reason reason;
  int status = 0;
  std::string type, code;  // of OpenAI's error object
  std::string message;     // one line, no secret in it
  // Seconds for Retry-After, at least 1; none if waiting does not help.
  std::optional<std::int64_t> retry_after = {};
  RateLimits rate_limits = {};
};

}  // namespace r1::serve
