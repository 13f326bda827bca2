#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "tasks/answer_text.h"
#include "tasks/expression.h"
#include "tasks/families.h"
#include "tasks/scratchpad.h"

namespace r1::tasks {
namespace {

// Parameters: {target, numbers...}, three or four numbers.
//
// The search is complete for the problems drawn here and short enough to be learned. Three numbers:
// put one aside, write the target as a sum, difference or product with it, then look among the
// values of the other two for the missing one. Four numbers: pair them up, and the same between the
// two pairs. The answer is the form found, with the pair in the place of its value.
using Numbers = std::vector<std::int64_t>;

constexpr std::int64_t kMaxValue = 99;  // of the target and of every value on the way

// One way to a value, with the expression that shows it.
struct Way {
  std::int64_t value;
  std::string text;
};

// Sum, difference, product of two numbers, in this order; what leaves 1..kMaxValue is left out.
std::vector<Way> values_of_pair(std::int64_t a, std::int64_t b) {
  const std::int64_t large = std::max(a, b), small = std::min(a, b);
  std::vector<Way> ways = {{a + b, fmt::format("{}+{}", a, b)}};
  if (large > small) ways.push_back({large - small, fmt::format("{}-{}", large, small)});
  if (a * b <= kMaxValue) ways.push_back({a * b, fmt::format("{}*{}", a, b)});
  return ways;
}

// The values that reach `target` together with `aside`: difference, sum, quotient if whole. The
// text has {} where the expression of the value goes.
std::vector<Way> values_needed(std::int64_t target, std::int64_t aside) {
  std::vector<Way> ways;
  if (target > aside) ways.push_back({target - aside, fmt::format("{{}}+{}", aside)});
  if (target < aside) ways.push_back({aside - target, fmt::format("{}-{{}}", aside)});
  if (target + aside <= kMaxValue) ways.push_back({target + aside, fmt::format("{{}}-{}", aside)});
  if (aside > 1 && target % aside == 0) {
    ways.push_back({target / aside, fmt::format("{{}}*{}", aside)});
  }
  return ways;
}

std::string in_brackets(std::string_view expression) { return fmt::format("({})", expression); }

// "63=54+9=72-9=7*9"
void write_needed(std::int64_t target, const std::vector<Way>& needed, Scratchpad& pad) {
  pad.number(target);
  for (const Way& way : needed) {
    pad.text("=").text(fmt::format(fmt::runtime(way.text), fmt::to_string(way.value)));
  }
  pad.next();
}

// Writes the values of a pair, "9+2=11, 9-2=7", until one of them is needed; that one, or nothing.
struct Match {
  Way needed;
  Way made;
};
std::optional<Match> write_matching(std::int64_t a, std::int64_t b, const std::vector<Way>& needed,
                                    Scratchpad& pad) {
  bool first = true;
  for (const Way& way : values_of_pair(a, b)) {
    if (!first) pad.text(", ");
    first = false;
    const std::int64_t value = pad.calculate(way.text, way.value);
    for (const Way& need : needed) {
      if (need.value != value) continue;
      pad.say(" yes", "可以").next();
      return Match{need, way};
    }
  }
  pad.say(" no", "不行").next();
  return std::nullopt;
}

// Nothing where the search fails.
std::optional<std::string> search_three(std::int64_t target, const Numbers& numbers,
                                        Scratchpad& pad) {
  static constexpr std::array<std::array<std::size_t, 3>, 3> kOrders = {
      {{0, 1, 2}, {1, 0, 2}, {2, 0, 1}}};
  for (const auto& [aside, a, b] : kOrders) {
    const std::vector<Way> needed = values_needed(target, numbers[aside]);
    pad.number(numbers[aside]).text(": ");
    write_needed(target, needed, pad);
    const auto match = write_matching(numbers[a], numbers[b], needed, pad);
    if (!match) continue;
    return fmt::format(fmt::runtime(match->needed.text), in_brackets(match->made.text));
  }
  return std::nullopt;
}

std::optional<std::string> search_four(std::int64_t target, const Numbers& numbers,
                                       Scratchpad& pad) {
  static constexpr std::array<std::array<std::size_t, 4>, 3> kOrders = {
      {{0, 1, 2, 3}, {0, 2, 1, 3}, {0, 3, 1, 2}}};
  for (const auto& [a, b, c, d] : kOrders) {
    const std::vector<Way> made = values_of_pair(numbers[a], numbers[b]);
    std::vector<Way> needed;          // of the second pair, given the value of the first
    std::vector<std::string> firsts;  // the expression of that value
    for (const Way& way : made) {
      if (way.value == target) continue;
      needed.push_back(way.value < target
                           ? Way{target - way.value, fmt::format("{}+{{}}", way.value)}
                           : Way{way.value - target, fmt::format("{}-{{}}", way.value)});
      firsts.push_back(way.text);
    }
    bool first = true;
    for (const Way& way : made) {
      if (!first) pad.text(", ");
      first = false;
      pad.text(fmt::format("{}={}", way.text, way.value));
    }
    pad.next();
    write_needed(target, needed, pad);
    const auto match = write_matching(numbers[c], numbers[d], needed, pad);
    if (!match) continue;
    const auto at = std::find_if(needed.begin(), needed.end(),
                                 [&](const Way& way) { return way.value == match->needed.value; });
    const std::string& left = firsts[static_cast<std::size_t>(at - needed.begin())];
    const char sign = match->needed.text[match->needed.text.size() - 3];
    return fmt::format("({}){}({})", left, sign, match->made.text);
  }
  return std::nullopt;
}

std::optional<std::string> search(const Parameters& p, Scratchpad& pad) {
  const Numbers numbers(p.begin() + 1, p.end());
  return numbers.size() == 3 ? search_three(p[0], numbers, pad) : search_four(p[0], numbers, pad);
}

class Countdown : public Task {
 public:
  std::string_view name() const override { return "countdown"; }
  std::string_view description() const override {
    return "reach a target with three or four numbers, each used once";
  }

  Verdict verify(const Problem& problem, std::string_view answer) const override {
    const Parameters& p = problem.parameters;
    const auto text = normalized_answer(answer);
    if (!text) return wrong("no answer, or one too long");
    std::string_view expression = *text;
    if (const auto equals = expression.find('='); equals != std::string_view::npos) {
      if (parse_integer(expression.substr(equals + 1)) != p[0]) {
        return wrong("the equation does not end in the target");
      }
      expression = expression.substr(0, equals);
    }
    auto evaluation = evaluate_expression(expression);
    if (!evaluation) return wrong("not an arithmetic expression");
    Numbers given(p.begin() + 1, p.end());
    std::sort(given.begin(), given.end());
    std::sort(evaluation->literals.begin(), evaluation->literals.end());
    if (given != evaluation->literals) return wrong("does not use each given number once");
    return verdict(evaluation->value == Rational{p[0], 1}, "the value is not the target");
  }

  Parameters split_key(const Parameters& p) const override {
    Parameters key = p;
    std::sort(key.begin() + 1, key.end());
    return key;
  }

 protected:
  Parameters draw(int difficulty, Rng& rng) const override {
    for (;;) {
      const std::size_t count = difficulty == 3 && rng.chance(0.5) ? 4 : 3;
      Parameters p = {0};
      // Products stay within one digit times two, or the table up to twelve.
      for (std::size_t i = 0; i < count; ++i) p.push_back(rng.between(2, count == 4 ? 12 : 9));
      if (count == 3 && difficulty > 1) p[1 + rng.below(3)] = rng.between(10, 25);
      // A random value of the kind that the search covers.
      const auto first = values_of_pair(p[1], p[2]);
      const std::int64_t inner = first[rng.below(std::uint32_t(first.size()))].value;
      std::int64_t outer = p[3];
      if (count == 4) {
        const auto second = values_of_pair(p[3], p[4]);
        outer = second[rng.below(std::uint32_t(second.size()))].value;
      }
      const std::uint32_t operation = rng.below(count == 3 ? 3 : 2);
      p[0] = operation == 0   ? inner + outer
             : operation == 1 ? std::max(inner, outer) - std::min(inner, outer)
                              : inner * outer;
      Numbers numbers(p.begin() + 1, p.end());
      rng.shuffle(numbers);
      std::copy(numbers.begin(), numbers.end(), p.begin() + 1);
      const bool given = std::find(p.begin() + 1, p.end(), p[0]) != p.end();
      if (p[0] >= 5 && p[0] <= kMaxValue && !given && solvable(p)) return p;
    }
  }

  std::string question(const Parameters& p, Language language, Rng& rng) const override {
    const bool first = rng.chance(0.5);
    const bool english = language == Language::kEnglish;
    const std::string list = join(Numbers(p.begin() + 1, p.end()), english ? ", " : "、");
    if (english) {
      return first ? fmt::format("Make {} from {}, using each number once.", p[0], list)
                   : fmt::format("Use {} once each with + - * / to get {}.", list, p[0]);
    }
    return first ? fmt::format("用{}各一次，算出{}。", list, p[0])
                 : fmt::format("用加减乘除把{}凑成{}，每个数用一次。", list, p[0]);
  }

  std::string gold(const Parameters& p, Language) const override {
    return solve_silently(p).value();
  }

  std::string near_miss(const Problem& problem, Rng& rng) const override {
    static constexpr std::string_view kOperators = "+-*";
    const Parameters& p = problem.parameters;
    std::string text = fmt::format("{}", p[1]);
    for (std::size_t i = 2; i < p.size(); ++i) {
      if (i > 2) text = in_brackets(text);
      text += fmt::format("{}{}", kOperators[rng.below(3)], p[i]);
    }
    return text;
  }

  std::string write_steps(const Problem& problem, Scratchpad& pad) const override {
    const Parameters& p = problem.parameters;
    if (!pad.brief()) return search(p, pad).value();
    // Only the outcome; a slip adds up the numbers and claims the target.
    const std::string answer =
        pad.judge(true) ? solve_silently(p).value() : join(Numbers(p.begin() + 1, p.end()), "+");
    pad.text(answer).text("=").number(p[0]);
    return answer;
  }

 private:
  static std::optional<std::string> solve_silently(const Parameters& p) {
    Rng unused(0);
    Scratchpad pad(Style::kCareful, Language::kEnglish, unused);
    return search(p, pad);
  }
  static bool solvable(const Parameters& p) { return solve_silently(p).has_value(); }
};

}  // namespace

std::unique_ptr<Task> make_countdown() { return std::make_unique<Countdown>(); }

}  // namespace r1::tasks
