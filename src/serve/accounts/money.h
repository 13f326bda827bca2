#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace r1::serve {

// An amount of one currency, exact: an integer of 10^-12 units. A price per million tokens with six
// decimals is a whole number of them per token, so no sum is ever rounded. Holds up to 9.2 million
// units either way; arithmetic beyond it throws Error.
class Money {
 public:
  static constexpr std::int64_t kPicosPerUnit = 1'000'000'000'000;

  constexpr Money() = default;
  static constexpr Money from_picos(std::int64_t picos) { return Money(picos); }
  // "12", "0.55" or "-3.000001": digits with at most 12 decimals, no exponent. Throws Error naming
  // `where`.
  static Money parse(std::string_view text, std::string_view where);

  constexpr std::int64_t picos() const { return picos_; }
  // At least two decimals, and as many as the amount has: "0.55", "0.000042".
  std::string exact() const;
  // With two decimals, rounded towards less: what a balance shows. "12.34", "-0.01".
  std::string cents() const;

  Money operator+(Money other) const;
  Money operator-(Money other) const;
  Money operator*(std::int64_t count) const;
  Money& operator+=(Money other) { return *this = *this + other; }
  Money& operator-=(Money other) { return *this = *this - other; }
  constexpr auto operator<=>(const Money&) const = default;

 private:
  explicit constexpr Money(std::int64_t picos) : picos_(picos) {}
  std::int64_t picos_ = 0;
};

}  // namespace r1::serve
