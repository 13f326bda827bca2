#pragma once

#include <chrono>
#include <cstdint>

#include "serve/accounts/refusal.h"

namespace r1::serve {

// A rate per minute: holds at most `limit` tokens, full at first, and gains them evenly. Exact: it
// counts in parts of which one token has as many as a minute has microseconds, so `limit` parts
// come in every microsecond.
class TokenBucket {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::int64_t kMaxLimit = 1'000'000'000;

  TokenBucket(std::int64_t limit, Time now);

  // What has come in by now, with the limit as it is now (an operator may change it).
  void refill(std::int64_t limit, Time now);
  std::int64_t available() const { return parts_ / kParts; }
  // tokens <= available().
  void take(std::int64_t tokens);
  // What was taken and not used.
  void give_back(std::int64_t tokens);
  // Until `tokens` (at most the limit) are available.
  std::chrono::microseconds time_until(std::int64_t tokens) const;
  RateLimit state() const;

 private:
  static constexpr std::int64_t kParts = 60'000'000;

  std::int64_t limit_;
  std::int64_t parts_;
  Time refilled_;
};

}  // namespace r1::serve
