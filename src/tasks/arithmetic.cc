#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "tasks/answer_text.h"
#include "tasks/families.h"
#include "tasks/scratchpad.h"

namespace r1::tasks {
namespace {

// An expression as a list: numbers stand for themselves, symbols for kSymbolBase - their place in
// kSymbols, far below any number that even a chain of slips can make.
using Expression = Parameters;
constexpr std::string_view kSymbols = "+-*()";
constexpr std::int64_t kSymbolBase = -1'000'000;
constexpr std::int64_t kPlus = kSymbolBase, kMinus = kSymbolBase - 1, kTimes = kSymbolBase - 2,
                       kOpen = kSymbolBase - 3, kClose = kSymbolBase - 4;

constexpr std::int64_t kMaxValue = 99;  // of any intermediate result

std::string render(const Expression& expression, bool spaced = false) {
  std::string text;
  for (const std::int64_t item : expression) {
    if (item > kSymbolBase) {
      text += fmt::format("{}", item);
      continue;
    }
    const char symbol = kSymbols[static_cast<std::size_t>(kSymbolBase - item)];
    const bool parenthesis = item == kOpen || item == kClose;
    text += spaced && !parenthesis ? fmt::format(" {} ", symbol) : std::string(1, symbol);
  }
  return text;
}

// Where the operator lies that is computed next: inside the parentheses first, then products, then
// from the left.
std::size_t next_operator(const Expression& expression) {
  std::size_t begin = 0;
  std::size_t end = expression.size();
  for (std::size_t i = 0; i < expression.size(); ++i) {
    if (expression[i] == kOpen) begin = i + 1;
    if (expression[i] == kClose) {
      end = i;
      break;
    }
  }
  for (std::size_t i = begin; i < end; ++i) {
    if (expression[i] == kTimes) return i;
  }
  for (std::size_t i = begin; i < end; ++i) {
    if (expression[i] == kPlus || expression[i] == kMinus) return i;
  }
  R1_CHECK(false, "no operator in {}", render(expression));
}

std::int64_t apply(std::int64_t a, std::int64_t op, std::int64_t b) {
  return op == kPlus ? a + b : op == kMinus ? a - b : a * b;
}

// Puts `value` in the place of the operation at `at`, dropping parentheses left around it.
void replace_operation(Expression& expression, std::size_t at, std::int64_t value) {
  using Offset = Expression::difference_type;
  const auto begin = expression.begin() + static_cast<Offset>(at) - 1;
  const auto where = expression.erase(begin, begin + 3);
  const auto inserted = expression.insert(where, value);
  const auto index = static_cast<std::size_t>(inserted - expression.begin());
  if (index > 0 && index + 1 < expression.size() && expression[index - 1] == kOpen &&
      expression[index + 1] == kClose) {
    expression.erase(inserted + 1);
    expression.erase(expression.begin() + static_cast<Offset>(index) - 1);
  }
}

// Nothing when an intermediate result leaves 1..kMaxValue.
std::optional<std::int64_t> value_of(Expression expression) {
  while (expression.size() > 1) {
    const std::size_t at = next_operator(expression);
    const std::int64_t value = apply(expression[at - 1], expression[at], expression[at + 1]);
    if (value < 1 || value > kMaxValue) return std::nullopt;
    replace_operation(expression, at, value);
  }
  return expression.front();
}

// s: 2..9, t: 11..19, m: 10..50.
constexpr std::array<std::array<std::string_view, 5>, 3> kForms = {{
    {"m+m-m", "m-m+m", "s*s+m", "s*s-m", "m+s*s"},
    {"s*s+m-m", "m+s*s-m", "s*(s+s)-m", "s*s+s*s", "m-m+s*s"},
    {"s*s+s*s-m", "s*t+m-m", "(s+s)*s+m-m", "m+s*t-m", "s*s-s*s+m"},
}};

class Arithmetic : public Task {
 public:
  std::string_view name() const override { return "arithmetic"; }
  std::string_view description() const override {
    return "expressions of three to five small numbers with + - * and parentheses";
  }

  Verdict verify(const Problem& problem, std::string_view answer) const override {
    const auto expected = value_of(problem.parameters);
    R1_CHECK(expected.has_value(), "{} has no value", render(problem.parameters));
    return verify_integer(answer, *expected);
  }

  // What is left to compute after each step.
  std::vector<Parameters> contained_problems(const Parameters& p) const override {
    std::vector<Parameters> contained;
    Expression rest = p;
    while (rest.size() > 1) {
      const std::size_t at = next_operator(rest);
      replace_operation(rest, at, apply(rest[at - 1], rest[at], rest[at + 1]));
      if (rest.size() > 3) contained.push_back(rest);
    }
    return contained;
  }

 protected:
  Parameters draw(int difficulty, Rng& rng) const override {
    const auto& forms = kForms[static_cast<std::size_t>(difficulty - 1)];
    for (;;) {
      Expression expression;
      for (const char c : forms[rng.below(std::uint32_t(forms.size()))]) {
        const auto symbol = kSymbols.find(c);
        if (symbol != std::string_view::npos) {
          expression.push_back(kSymbolBase - static_cast<std::int64_t>(symbol));
        } else {
          expression.push_back(c == 's'   ? rng.between(2, 9)
                               : c == 't' ? rng.between(11, 19)
                                          : rng.between(10, 50));
        }
      }
      if (value_of(expression)) return expression;
    }
  }

  std::string question(const Parameters& parameters, Language language, Rng& rng) const override {
    const std::string text = render(parameters, rng.chance(0.5));
    const std::uint32_t phrasing = rng.below(3);
    if (language == Language::kEnglish) {
      return phrasing == 0   ? fmt::format("What is {}?", text)
             : phrasing == 1 ? fmt::format("Calculate {}.", text)
                             : fmt::format("Compute {}.", text);
    }
    return phrasing == 0   ? fmt::format("{}等于多少？", text)
           : phrasing == 1 ? fmt::format("计算{}。", text)
                           : fmt::format("求{}的值。", text);
  }

  std::string gold(const Parameters& parameters, Language) const override {
    return fmt::format("{}", value_of(parameters).value());
  }

  std::string near_miss(const Problem& problem, Rng& rng) const override {
    return fmt::format("{}", near_number(value_of(problem.parameters).value(), rng));
  }

  std::string write_steps(const Problem& problem, Scratchpad& pad) const override {
    Expression rest = problem.parameters;
    std::int64_t a = 0, op = 0, b = 0;
    while (rest.size() > 1) {
      const std::size_t at = next_operator(rest);
      a = rest[at - 1], op = rest[at], b = rest[at + 1];
      std::string operation = render({a, op, b});
      // 7*14 by its digits: 7*14=70+28=98.
      const std::int64_t small = std::min(a, b), large = std::max(a, b);
      if (op == kTimes && large > 10 && !pad.brief()) {
        operation += fmt::format("={}+{}", large / 10 * 10 * small, large % 10 * small);
      }
      replace_operation(rest, at, pad.calculate(operation, apply(a, op, b)));
      if (rest.size() > 1 && !pad.brief()) pad.say(", so ", "，得").text(render(rest));
      pad.next();
    }
    if (pad.checks()) {
      // The last step backwards.
      const std::int64_t inverse = op == kPlus ? kMinus : kPlus;
      if (op != kTimes) {
        pad.say("Check: ", "检验：").text(render({rest[0], inverse, b}));
        pad.text(fmt::format("={}", a));
      }
    }
    return fmt::format("{}", rest.front());
  }
};

}  // namespace

std::unique_ptr<Task> make_arithmetic() { return std::make_unique<Arithmetic>(); }

}  // namespace r1::tasks
