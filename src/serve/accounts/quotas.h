#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "serve/accounts/clock.h"
#include "serve/accounts/key.h"
#include "serve/accounts/refusal.h"
#include "serve/accounts/token_bucket.h"

namespace r1::serve {

// What the requests of each key hold and have used: who may begin another one. A request counts
// with the most it can need (its prompt and all of max_tokens) until it is settled; then what it
// did not use is given back. Not thread-safe.
class Quotas {
 public:
  explicit Quotas(Clock clock) : clock_(std::move(clock)) {}

  struct Demand {
    std::int64_t tokens = 0;  // prompt and most output
    Money price;              // the most it can cost
  };
  // Takes the place of one request, or tells the limit that refuses and changes nothing. `key` has
  // the balance as it is now.
  std::optional<Refusal> take(const Key& key, const Demand& demand);
  RateLimits rate_limits(const Key& key);

  // Two steps of the end: the computation is over; the charge is in the balance.
  void end(const std::string& key_id, const Demand& demand, std::int64_t used_tokens);
  void charged(const std::string& key_id, const Demand& demand);

  // Tokens that were used today before this process began.
  void add_used_today(const std::string& key_id, std::int64_t tokens);

 private:
  using Days = std::chrono::sys_days;
  struct Account {
    std::optional<TokenBucket> requests, tokens;
    std::int64_t running = 0;
    Money held;                    // of the balance
    std::int64_t held_tokens = 0;  // of the day's quota
    std::int64_t used_tokens = 0;  // on `day`
    Days day{};
  };
  Account& account(const Key& key);
  Account& account(const std::string& key_id);

  Clock clock_;
  std::map<std::string, Account, std::less<>> accounts_;
};

}  // namespace r1::serve
