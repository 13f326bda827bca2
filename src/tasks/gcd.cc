#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "tasks/answer_text.h"
#include "tasks/families.h"
#include "tasks/scratchpad.h"

namespace r1::tasks {
namespace {

// Parameters: {a, b}. Solved as Euclid did, by subtraction: each line needs the two numbers of the
// line before and nothing else.
constexpr std::int64_t kMaxNumber = 199;

int subtractions(std::int64_t a, std::int64_t b) {
  int count = 0;
  for (; a != b; ++count) (a > b ? a : b) -= std::min(a, b);
  return count;
}

class Gcd : public Task {
 public:
  std::string_view name() const override { return "gcd"; }
  std::string_view description() const override {
    return "greatest common divisor of two numbers below 200";
  }

  Verdict verify(const Problem& problem, std::string_view answer) const override {
    return verify_integer(answer, std::gcd(problem.parameters[0], problem.parameters[1]));
  }

  Parameters split_key(const Parameters& p) const override {
    return {std::min(p[0], p[1]), std::max(p[0], p[1])};
  }

 protected:
  Parameters draw(int difficulty, Rng& rng) const override {
    const int least = difficulty + 1;
    const int most = 2 * difficulty + 1;
    for (;;) {
      const std::int64_t divisor = rng.between(1, 30);
      const std::int64_t most_multiple = kMaxNumber / divisor;
      const std::int64_t a = divisor * rng.between(1, most_multiple);
      const std::int64_t b = divisor * rng.between(1, most_multiple);
      const int count = subtractions(a, b);
      if (count >= least && count <= most && std::max(a, b) >= 10) return {a, b};
    }
  }

  std::string question(const Parameters& p, Language language, Rng& rng) const override {
    const std::uint32_t phrasing = rng.below(3);
    if (language == Language::kEnglish) {
      return phrasing == 0
                 ? fmt::format("What is the greatest common divisor of {} and {}?", p[0], p[1])
             : phrasing == 1 ? fmt::format("Find the gcd of {} and {}.", p[0], p[1])
                             : fmt::format("gcd({}, {}) = ?", p[0], p[1]);
    }
    return phrasing == 0   ? fmt::format("{}和{}的最大公约数是多少？", p[0], p[1])
           : phrasing == 1 ? fmt::format("求{}和{}的最大公约数。", p[0], p[1])
                           : fmt::format("gcd({}, {}) = ?", p[0], p[1]);
  }

  std::string gold(const Parameters& p, Language) const override {
    return fmt::format("{}", std::gcd(p[0], p[1]));
  }

  std::string near_miss(const Problem& problem, Rng& rng) const override {
    const std::int64_t value = std::gcd(problem.parameters[0], problem.parameters[1]);
    if (rng.chance(0.5)) return fmt::format("{}", value == 1 ? rng.between(2, 4) : 1);
    return fmt::format("{}", std::max<std::int64_t>(1, near_number(value, rng)));
  }

  std::string write_steps(const Problem& problem, Scratchpad& pad) const override {
    std::int64_t large = std::max(problem.parameters[0], problem.parameters[1]);
    std::int64_t small = std::min(problem.parameters[0], problem.parameters[1]);
    // Far more than any problem needs: a slip can make the chain long.
    constexpr int kMaxLines = 12;
    for (int line = 0; large != small && line < kMaxLines; ++line) {
      const auto difference = pad.calculate(fmt::format("{}-{}", large, small), large - small);
      pad.next();
      // A slip may leave nothing to go on with.
      large = std::max<std::int64_t>(1, std::max(small, difference));
      small = std::max<std::int64_t>(1, std::min(small, difference));
    }
    if (!pad.brief()) pad.say("Both ", "都是").number(small).next();
    if (pad.checks()) {
      const auto a = problem.parameters[0], b = problem.parameters[1];
      pad.say("Check: ", "检验：");
      pad.text(fmt::format("{}={}*{}, {}={}*{}", a, a / small, small, b, b / small, small));
    }
    return fmt::format("{}", small);
  }
};

}  // namespace

std::unique_ptr<Task> make_gcd() { return std::make_unique<Gcd>(); }

}  // namespace r1::tasks
