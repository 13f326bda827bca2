#include "serve/accounts/money.h"

#include <fmt/format.h>

#include "base/error.h"

namespace r1::serve {
namespace {

constexpr std::size_t kDecimals = 12;
constexpr std::string_view kDigits = "0123456789";

[[noreturn]] void fail_range(std::string_view where) {
  throw Error(where, "an amount of money beyond 9 million units");
}

// Money as its whole units and the 10^-12 parts of the rest, both without sign.
struct Parts {
  bool negative;
  std::uint64_t units, picos;
};

Parts parts_of(std::int64_t picos) {
  const bool negative = picos < 0;
  const std::uint64_t size =
      negative ? 0 - static_cast<std::uint64_t>(picos) : static_cast<std::uint64_t>(picos);
  constexpr auto kUnit = static_cast<std::uint64_t>(Money::kPicosPerUnit);
  return {negative, size / kUnit, size % kUnit};
}

}  // namespace

Money Money::parse(std::string_view text, std::string_view where) {
  const bool negative = text.starts_with('-');
  const std::string_view number = text.substr(negative ? 1 : 0);
  const std::size_t point = std::min(number.find('.'), number.size());
  const std::string_view whole = number.substr(0, point);
  const std::string_view decimals = point < number.size() ? number.substr(point + 1) : "";
  const bool valid = !whole.empty() && (point == number.size() || !decimals.empty()) &&
                     whole.find_first_not_of(kDigits) == std::string_view::npos &&
                     decimals.find_first_not_of(kDigits) == std::string_view::npos;
  if (!valid) {
    constexpr std::size_t kShown = 40;
    throw Error(where, fmt::format("'{}' is not an amount of money", text.substr(0, kShown)),
                "write digits and a point, like 0.55");
  }
  if (decimals.size() > kDecimals) {
    throw Error(where, fmt::format("an amount of money has at most {} decimals", kDecimals));
  }
  std::int64_t picos = 0;
  const auto append = [&](char digit) {
    if (__builtin_mul_overflow(picos, std::int64_t{10}, &picos) ||
        __builtin_add_overflow(picos, std::int64_t{digit - '0'}, &picos)) {
      fail_range(where);
    }
  };
  for (const char digit : whole) append(digit);
  for (std::size_t i = 0; i < kDecimals; ++i) append(i < decimals.size() ? decimals[i] : '0');
  return Money(negative ? -picos : picos);
}

std::string Money::exact() const {
  const Parts parts = parts_of(picos_);
  std::string text =
      fmt::format("{}{}.{:012}", parts.negative ? "-" : "", parts.units, parts.picos);
  const std::size_t shortest = text.size() - kDecimals + 2;
  while (text.size() > shortest && text.ends_with('0')) text.pop_back();
  return text;
}

std::string Money::cents() const {
  constexpr std::int64_t kCent = kPicosPerUnit / 100;
  const std::int64_t cents = picos_ / kCent - (picos_ % kCent < 0 ? 1 : 0);
  const Parts parts = parts_of(cents * kCent);
  return fmt::format("{}{}.{:02}", parts.negative ? "-" : "", parts.units,
                     parts.picos / static_cast<std::uint64_t>(kCent));
}

Money Money::operator+(Money other) const {
  std::int64_t sum;
  if (__builtin_add_overflow(picos_, other.picos_, &sum)) fail_range({});
  return Money(sum);
}

Money Money::operator-(Money other) const {
  std::int64_t difference;
  if (__builtin_sub_overflow(picos_, other.picos_, &difference)) fail_range({});
  return Money(difference);
}

Money Money::operator*(std::int64_t count) const {
  std::int64_t product;
  if (__builtin_mul_overflow(picos_, count, &product)) fail_range({});
  return Money(product);
}

}  // namespace r1::serve
