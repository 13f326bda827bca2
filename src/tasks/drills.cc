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
  kExtremes,
  kParity,
  kReach,
  kCounting,
};

// The ranges are those of the worked solutions.
constexpr std::int64_t kMaxNumber = 99;

std::string fact(Kind kind, Rng& rng) {
  switch (kind) {
    case kSum: {
      const auto sum = rng.between(3, kMaxNumber), a = rng.between(1, sum - 1);
      return fmt::format("{}+{}={}", a, sum - a, sum);
    }
    case kDifference: {
      const auto a = rng.between(3, kMaxNumber), b = rng.between(1, a - 1);
      return fmt::format("{}-{}={}", a, b, a - b);
    }
    case kProduct: {
      const auto a = rng.between(2, 9), b = rng.between(2, rng.chance(0.6) ? 12 : kMaxNumber / a);
      return rng.chance(0.5) ? fmt::format("{}*{}={}", a, b, a * b)
                             : fmt::format("{}*{}={}", b, a, a * b);
    }
    case kQuotient: {
      const auto a = rng.between(2, 9),
                 b = rng.between(2, std::min<std::int64_t>(20, kMaxNumber / a));
      return fmt::format("{}/{}={}", a * b, a, b);
    }
    case kRemainder: {
      const auto divisor = rng.between(2, 9);
      const auto n = rng.between(2, kMaxNumber);
      return fmt::format("{}={}*{}+{}", n, n / divisor, divisor, n % divisor);
    }
    case kExtremes: {
      const auto a = rng.between(1, 40), b = rng.between(1, 40), c = rng.between(1, 40);
      return fmt::format("{},{},{}: smallest {}, largest {}", a, b, c, std::min({a, b, c}),
                         std::max({a, b, c}));
    }
    case kParity: {
      const auto n = rng.between(1, 40);
      return fmt::format("{} {}", n, n % 2 == 0 ? "even" : "odd");
    }
    case kReach: {
      const auto target = rng.between(5, kMaxNumber), aside = rng.between(2, 25);
      std::string text = fmt::format("{}: {}", aside, target);
      if (target > aside) text += fmt::format("={}+{}", target - aside, aside);
      if (target < aside) text += fmt::format("={}-{}", aside, aside - target);
      if (target + aside <= kMaxNumber) text += fmt::format("={}-{}", target + aside, aside);
      if (target % aside == 0) text += fmt::format("={}*{}", target / aside, aside);
      return text;
    }
    default: {
      const auto first = rng.between(1, kMaxNumber - 5);
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
  // More often what takes most learning.
  static constexpr Kind kKindsDrawn[] = {
      kSum,        kSum,      kSum,     kDifference, kDifference, kDifference,
      kDifference, kProduct,  kProduct, kQuotient,   kRemainder,  kRemainder,
      kRemainder,  kExtremes, kParity,  kReach,      kReach,      kCounting};
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
