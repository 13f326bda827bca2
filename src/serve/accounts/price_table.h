#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "serve/accounts/money.h"
#include "serve/accounts/usage.h"

namespace r1::serve {

// What one token costs. Thinking costs as output does.
struct Price {
  Money cache_hit, cache_miss, output;

  Money of(const Usage& usage) const;
  // The most that a request can cost: every prompt token at the dearer input price.
  Money worst_case(std::int64_t prompt_tokens, std::int64_t max_output_tokens) const;
};

// Prices per model, read from YAML:
//
//   currency: USD
//   models:
//     deepseek-reasoner:       # per million tokens, at most six decimals
//       cache_hit: 0.14
//       cache_miss: 0.55
//       output: 2.19
//     "*": {cache_hit: 0, cache_miss: 0, output: 0}   # every model that is not named
class PriceTable {
 public:
  // Everything is free.
  PriceTable() = default;
  // Throws Error naming file and line for anything that is not a price.
  static PriceTable parse(std::string_view yaml, std::string_view where);
  static PriceTable load(const std::filesystem::path& file);

  bool empty() const { return prices_.empty(); }
  const std::string& currency() const { return currency_; }
  // Null for a model without a price; a table that names none makes every model free.
  const Price* find(std::string_view model) const;

 private:
  std::string currency_ = "USD";
  std::map<std::string, Price, std::less<>> prices_;
};

}  // namespace r1::serve
