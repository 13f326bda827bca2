#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "tasks/answer_text.h"
#include "tasks/families.h"
#include "tasks/scratchpad.h"

namespace r1::tasks {
namespace {

// Parameters: two or three numbers. Solved as Euclid did, by subtraction: each line needs the two
// numbers of the line before and nothing else.
constexpr std::int64_t kMaxNumber = 99;
constexpr int kFewestSubtractions = 3;  // of a problem of two numbers

int subtractions(std::int64_t a, std::int64_t b) {
  int count = 0;
  for (; a != b; ++count) (a > b ? a : b) -= std::min(a, b);
  return count;
}

std::int64_t gcd_of(const Parameters& p) {
  return std::reduce(p.begin(), p.end(), std::int64_t{0},
                     [](std::int64_t a, std::int64_t b) { return std::gcd(a, b); });
}

class Gcd : public Task {
 public:
  std::string_view name() const override { return "gcd"; }
  std::string_view description() const override {
    return "greatest common divisor of two or three numbers below 100";
  }

  Verdict verify(const Problem& problem, std::string_view answer) const override {
    return verify_integer(answer, gcd_of(problem.parameters));
  }

  Parameters split_key(const Parameters& p) const override {
    Parameters key = p;
    std::sort(key.begin(), key.end());
    return key;
  }

  // Euclid's algorithm goes from pair to pair of the same divisor.
  std::vector<Parameters> contained_problems(const Parameters& p) const override {
    std::vector<Parameters> contained;
    const auto add_chain = [&](std::int64_t a, std::int64_t b) {
      for (; subtractions(a, b) >= kFewestSubtractions; (a > b ? a : b) -= std::min(a, b)) {
        contained.push_back({a, b});
      }
    };
    add_chain(p[0], p[1]);
    if (p.size() == 3) add_chain(std::gcd(p[0], p[1]), p[2]);
    return contained;
  }

 protected:
  Parameters draw(int difficulty, Rng& rng) const override {
    const bool three = difficulty > 1 && rng.chance(difficulty == 2 ? 0.35 : 0.7);
    // Three numbers take two short chains of subtractions.
    const int least = three ? 1 : kFewestSubtractions + (difficulty - 1) / 2;
    const int most = three ? difficulty + 2 : difficulty + 4;
    for (;;) {
      const std::int64_t divisor = rng.between(1, 30);
      const auto draw_number = [&] { return divisor * rng.between(1, kMaxNumber / divisor); };
      const std::int64_t a = draw_number(), b = draw_number();
      const auto fits = [&](std::int64_t x, std::int64_t y) {
        const int count = subtractions(x, y);
        return count >= least && count <= most;
      };
      if (!fits(a, b) || std::max(a, b) < 10) continue;
      if (!three) return {a, b};
      const std::int64_t c = rng.between(2, kMaxNumber);
      if (c != a && c != b && fits(std::gcd(a, b), c)) return {a, b, c};
    }
  }

  std::string question(const Parameters& p, Language language, Rng& rng) const override {
    const std::uint32_t phrasing = rng.below(3);
    const bool english = language == Language::kEnglish;
    if (phrasing == 2) return fmt::format("gcd({}) = ?", join(p, ", "));
    const std::string numbers =
        p.size() == 2
            ? join(p, english ? " and " : "和")
            : fmt::format(fmt::runtime(english ? "{}, {} and {}" : "{}、{}和{}"), p[0], p[1], p[2]);
    if (english) {
      return phrasing == 0 ? fmt::format("What is the greatest common divisor of {}?", numbers)
                           : fmt::format("Find the gcd of {}.", numbers);
    }
    return phrasing == 0 ? fmt::format("{}的最大公约数是多少？", numbers)
                         : fmt::format("求{}的最大公约数。", numbers);
  }

  std::string gold(const Parameters& p, Language) const override {
    return fmt::format("{}", gcd_of(p));
  }

  std::string near_miss(const Problem& problem, Rng& rng) const override {
    const std::int64_t value = gcd_of(problem.parameters);
    if (rng.chance(0.5)) return fmt::format("{}", value == 1 ? rng.between(2, 4) : 1);
    return fmt::format("{}", std::max<std::int64_t>(1, near_number(value, rng)));
  }

  std::string write_steps(const Problem& problem, Scratchpad& pad) const override {
    const Parameters& p = problem.parameters;
    std::int64_t divisor = write_subtractions(p[0], p[1], pad);
    if (p.size() == 3) {
      if (!pad.brief()) pad.text(fmt::format("{},{}", divisor, p[2])).next();
      divisor = write_subtractions(divisor, p[2], pad);
    }
    if (pad.checks()) {
      pad.say("Check: ", "检验：");
      for (std::size_t i = 0; i < p.size(); ++i) {
        pad.text(fmt::format("{}{}={}*{}", i > 0 ? ", " : "", p[i], p[i] / divisor, divisor));
      }
    }
    return fmt::format("{}", divisor);
  }

 private:
  static std::int64_t write_subtractions(std::int64_t a, std::int64_t b, Scratchpad& pad) {
    std::int64_t large = std::max(a, b), small = std::min(a, b);
    // Far more than any problem needs: a slip can make the chain long.
    constexpr int kMaxLines = 12;
    for (int line = 0; large != small && line < kMaxLines; ++line) {
      std::int64_t difference = large - small;
      if (pad.brief()) {
        difference = pad.step(difference);
        pad.number(difference);
      } else {
        difference = pad.calculate(fmt::format("{}-{}", large, small), difference);
      }
      pad.next();
      // A slip may leave nothing to go on with.
      large = std::max<std::int64_t>(1, std::max(small, difference));
      small = std::max<std::int64_t>(1, std::min(small, difference));
    }
    if (!pad.brief()) pad.say("Both ", "都是").number(small).next();
    return small;
  }
};

}  // namespace

std::unique_ptr<Task> make_gcd() { return std::make_unique<Gcd>(); }

}  // namespace r1::tasks
