#include "tasks/drills.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

namespace r1::tasks {
namespace {

enum Kind {
  kSum,
  kDifference,
  kProduct,
  kQuotient,
  kRemainder,
  kComparison,
  kParity,
  kPair,
  kReach,
  kCounting,
};

// The ranges are those of the worked solutions.
std::string fact(Kind kind, Rng& rng) {
  switch (kind) {
    case kSum: {
      const auto a = rng.between(1, 90), b = rng.between(1, 60);
      return fmt::format("{}+{}={}", a, b, a + b);
    }
    case kDifference: {
      const auto a = rng.between(5, 120), b = rng.between(1, std::min<std::int64_t>(a, 99));
      return fmt::format("{}-{}={}", a, b, a - b);
    }
    case kProduct: {
      const auto a = rng.between(2, 9), b = rng.between(2, rng.chance(0.6) ? 12 : 25);
      return rng.chance(0.5) ? fmt::format("{}*{}={}", a, b, a * b)
                             : fmt::format("{}*{}={}", b, a, a * b);
    }
    case kQuotient: {
      const auto a = rng.between(2, 9), b = rng.between(2, 20);
      return fmt::format("{}/{}={}", a * b, a, b);
    }
    case kRemainder: {
      const auto divisor = rng.between(2, 9);
      const auto n = rng.between(2, 99);
      return fmt::format("{}={}*{}+{}", n, n / divisor, divisor, n % divisor);
    }
    case kComparison: {
      const auto a = rng.between(1, 50), b = rng.between(1, 50);
      return fmt::format("{}{}{}", a, a < b ? '<' : a > b ? '>' : '=', b);
    }
    case kParity: {
      const auto n = rng.between(1, 50);
      return fmt::format("{} {}", n, n % 2 == 0 ? "even" : "odd");
    }
    case kPair: {
      const bool table = rng.chance(0.5);
      auto a = rng.between(2, table ? 12 : 9), b = rng.between(2, table ? 12 : 25);
      if (rng.chance(0.5)) std::swap(a, b);
      const auto difference = std::max(a, b) - std::min(a, b);
      return difference == 0 ? fmt::format("{},{}: {},{}", a, b, a + b, a * b)
                             : fmt::format("{},{}: {},{},{}", a, b, a + b, difference, a * b);
    }
    case kReach: {
      const auto target = rng.between(5, 99), aside = rng.between(2, 25);
      if (target == aside) return fmt::format("{} with {}: {}", target, aside, target + aside);
      std::string text =
          fmt::format("{} with {}: {},{}", target, aside,
                      std::max(target, aside) - std::min(target, aside), target + aside);
      if (target % aside == 0) text += fmt::format(",{}", target / aside);
      return text;
    }
    default: {
      const auto first = rng.between(1, 115);
      std::string text = fmt::format("{}", first);
      for (std::int64_t n = first + 1; n < first + 6; ++n) text += fmt::format(",{}", n);
      return text;
    }
  }
}

}  // namespace

std::string number_drill(Rng& rng) {
  std::string text;
  const bool one_kind = rng.chance(0.5);
  // Twice as often what takes most learning.
  static constexpr Kind kKindsDrawn[] = {kSum,       kSum,        kDifference, kDifference,
                                         kProduct,   kQuotient,   kRemainder,  kRemainder,
                                         kRemainder, kComparison, kParity,     kPair,
                                         kPair,      kReach,      kCounting};
  const auto draw_kind = [&] {
    return kKindsDrawn[rng.below(static_cast<std::uint32_t>(std::size(kKindsDrawn)))];
  };
  Kind kind = draw_kind();
  const int lines = static_cast<int>(rng.between(6, 12));
  for (int i = 0; i < lines; ++i) {
    if (!one_kind) kind = draw_kind();
    text += fact(kind, rng);
    text += '\n';
  }
  return text;
}

}  // namespace r1::tasks
