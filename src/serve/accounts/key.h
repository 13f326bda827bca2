#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/accounts/clock.h"
#include "serve/accounts/money.h"

namespace r1::serve {

// Bounds of one key; none where nothing is said.
struct KeyLimits {
  std::optional<std::int64_t> requests_per_minute = {}, tokens_per_minute = {};
  std::optional<std::int64_t> concurrent = {};    // requests at once
  std::optional<std::int64_t> daily_tokens = {};  // prompt and completion, per day in UTC
};

// Prepaid money. What was granted is spent before what was topped up.
struct KeyBalance {
  Money granted = {}, topped_up = {};
  Money total() const { return granted + topped_up; }
};

// An API key as it is stored: its secret is not, only a salted hash of it.
struct Key {
  std::string id = {};    // the key's public beginning, "sk-r1-a2b3c4d5"; empty: none was asked
  std::string name = {};  // as its operator calls it
  WallTime created = {};
  std::optional<WallTime> expires = {}, revoked = {};
  bool disabled = false;
  KeyLimits limits = {};
  std::optional<KeyBalance> balance = {};  // none: not limited by money
  std::vector<std::string> models = {};    // empty: all

  bool may_use(std::string_view model) const;
};

}  // namespace r1::serve
