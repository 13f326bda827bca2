#include "serve/accounts/quotas.h"

#include <algorithm>

#include "base/error.h"

namespace r1::serve {
namespace {

using Reason = Refusal::Reason;

std::int64_t whole_seconds(std::chrono::microseconds wait) {
  return std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(wait).count());
}

Refusal too_fast(Reason reason, std::string_view type, std::string message,
                 std::optional<std::int64_t> retry_after) {
  return {.reason = reason,
          .status = 429,
          .type = std::string(type),
          .code = "rate_limit_exceeded",
          .message = std::move(message),
          .retry_after = retry_after};
}

void refill(std::optional<TokenBucket>& bucket, std::optional<std::int64_t> limit,
            TokenBucket::Time now) {
  if (!limit) {
    bucket.reset();
  } else if (!bucket) {
    bucket.emplace(*limit, now);
  } else {
    bucket->refill(*limit, now);
  }
}

std::optional<Refusal> over_concurrency(const Key& key, std::int64_t running) {
  if (!key.limits.concurrent || running < *key.limits.concurrent) return std::nullopt;
  return too_fast(Reason::concurrency, "requests",
                  fmt::format("Limit of {} concurrent requests reached; wait for one to end",
                              *key.limits.concurrent),
                  1);
}

std::optional<Refusal> over_requests(const std::optional<TokenBucket>& bucket) {
  if (!bucket || bucket->available() >= 1) return std::nullopt;
  const std::int64_t wait = whole_seconds(bucket->time_until(1));
  return too_fast(Reason::requests_per_minute, "requests",
                  fmt::format("Limit of {} requests per minute reached; try again in {} s",
                              bucket->state().limit, wait),
                  wait);
}

std::optional<Refusal> over_tokens(const std::optional<TokenBucket>& bucket, std::int64_t tokens) {
  if (!bucket || bucket->available() >= tokens) return std::nullopt;
  const std::int64_t limit = bucket->state().limit;
  if (tokens > limit) {
    return too_fast(Reason::tokens_per_minute, "tokens",
                    fmt::format("Prompt and max_tokens make {} tokens, more than the limit of {} "
                                "per minute; ask for fewer",
                                tokens, limit),
                    std::nullopt);
  }
  const std::int64_t wait = whole_seconds(bucket->time_until(tokens));
  return too_fast(Reason::tokens_per_minute, "tokens",
                  fmt::format("Limit of {} tokens per minute reached: {} asked for, {} left; try "
                              "again in {} s",
                              limit, tokens, bucket->available(), wait),
                  wait);
}

std::optional<Refusal> over_quota(const Key& key, std::int64_t taken, std::int64_t tokens,
                                  WallTime now) {
  if (!key.limits.daily_tokens) return std::nullopt;
  const std::int64_t limit = *key.limits.daily_tokens;
  if (tokens <= limit - taken) return std::nullopt;
  if (tokens > limit) {
    return too_fast(Reason::daily_tokens, "tokens",
                    fmt::format("Prompt and max_tokens make {} tokens, more than the {} of a day; "
                                "ask for fewer",
                                tokens, limit),
                    std::nullopt);
  }
  const auto midnight = std::chrono::floor<std::chrono::days>(now) + std::chrono::days(1);
  return too_fast(Reason::daily_tokens, "tokens",
                  fmt::format("Limit of {} tokens per day reached: {} asked for, {} left until "
                              "midnight UTC",
                              limit, tokens, std::max<std::int64_t>(0, limit - taken)),
                  whole_seconds(midnight - now));
}

std::optional<Refusal> over_balance(const Key& key, Money held, Money price) {
  if (!key.balance) return std::nullopt;
  const Money left = key.balance->total() - held;
  if (price <= std::max(left, Money())) return std::nullopt;
  return Refusal{
      .reason = Reason::balance,
      .status = 402,
      .type = "insufficient_quota",
      .code = "insufficient_balance",
      .message = left > Money()
                     ? fmt::format("Insufficient balance: the request may cost {}, {} is left; "
                                   "ask for fewer max_tokens or top up",
                                   price.exact(), left.exact())
                     : "Insufficient balance: nothing is left; top up"};
}

}  // namespace

Quotas::Account& Quotas::account(const std::string& key_id) {
  Account& account = accounts_[key_id];
  const Days today = std::chrono::floor<std::chrono::days>(clock_.wall());
  if (account.day != today) {
    account.day = today;
    account.used_tokens = 0;
  }
  return account;
}

Quotas::Account& Quotas::account(const Key& key) {
  Account& of_key = account(key.id);
  const TokenBucket::Time now = clock_.steady();
  refill(of_key.requests, key.limits.requests_per_minute, now);
  refill(of_key.tokens, key.limits.tokens_per_minute, now);
  return of_key;
}

RateLimits Quotas::rate_limits(const Key& key) {
  const Account& of_key = account(key);
  RateLimits limits;
  if (of_key.requests) limits.requests = of_key.requests->state();
  if (of_key.tokens) limits.tokens = of_key.tokens->state();
  return limits;
}

std::optional<Refusal> Quotas::take(const Key& key, const Demand& demand) {
  Account& of_key = account(key);
  // What waiting cannot mend comes first.
  std::optional<Refusal> refusal = over_balance(key, of_key.held, demand.price);
  if (!refusal) {
    refusal =
        over_quota(key, of_key.used_tokens + of_key.held_tokens, demand.tokens, clock_.wall());
  }
  if (!refusal) refusal = over_tokens(of_key.tokens, demand.tokens);
  if (!refusal) refusal = over_requests(of_key.requests);
  if (!refusal) refusal = over_concurrency(key, of_key.running);
  if (refusal) {
    refusal->rate_limits = rate_limits(key);
    return refusal;
  }
  of_key.held += demand.price;  // first, because it throws beyond Money's range
  if (of_key.requests) of_key.requests->take(1);
  if (of_key.tokens) of_key.tokens->take(demand.tokens);
  ++of_key.running;
  of_key.held_tokens += demand.tokens;
  return std::nullopt;
}

void Quotas::end(const std::string& key_id, const Demand& demand, std::int64_t used_tokens) {
  Account& of_key = account(key_id);
  R1_CHECK(of_key.running > 0, "key {}", key_id);
  --of_key.running;
  of_key.held_tokens -= demand.tokens;
  of_key.used_tokens += used_tokens;
  if (of_key.tokens) {
    of_key.tokens->give_back(std::max<std::int64_t>(0, demand.tokens - used_tokens));
  }
}

void Quotas::charged(const std::string& key_id, const Demand& demand) {
  account(key_id).held -= demand.price;
}

void Quotas::add_used_today(const std::string& key_id, std::int64_t tokens) {
  account(key_id).used_tokens += tokens;
}

}  // namespace r1::serve
