#include "serve/accounts/token_bucket.h"

#include <algorithm>

#include "base/error.h"

namespace r1::serve {

TokenBucket::TokenBucket(std::int64_t limit, Time now)
    : limit_(limit), parts_(limit * kParts), refilled_(now) {
  R1_CHECK(limit >= 1 && limit <= kMaxLimit, "limit {}", limit);
}

void TokenBucket::refill(std::int64_t limit, Time now) {
  R1_CHECK(limit >= 1 && limit <= kMaxLimit, "limit {}", limit);
  const auto elapsed =
      std::chrono::duration_cast<std::chrono::microseconds>(now - refilled_).count();
  if (elapsed > 0) {
    // A minute fills it whatever it held.
    parts_ += limit_ * std::min(elapsed, kParts);
    refilled_ += std::chrono::microseconds(elapsed);
  }
  limit_ = limit;
  parts_ = std::min(parts_, limit_ * kParts);
}

void TokenBucket::take(std::int64_t tokens) {
  R1_CHECK(tokens >= 0 && tokens <= available(), "{} of {}", tokens, available());
  parts_ -= tokens * kParts;
}

void TokenBucket::give_back(std::int64_t tokens) {
  R1_CHECK(tokens >= 0, "{}", tokens);
  parts_ += std::min(tokens, limit_ - available()) * kParts;
  parts_ = std::min(parts_, limit_ * kParts);
}

std::chrono::microseconds TokenBucket::time_until(std::int64_t tokens) const {
  const std::int64_t missing = std::min(tokens, limit_) * kParts - parts_;
  return std::chrono::microseconds(missing <= 0 ? 0 : (missing + limit_ - 1) / limit_);
}

RateLimit TokenBucket::state() const {
  return {limit_, available(), std::chrono::ceil<std::chrono::milliseconds>(time_until(limit_))};
}

}  // namespace r1::serve
