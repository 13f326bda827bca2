#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "tasks/answer_text.h"
#include "tasks/families.h"
#include "tasks/scratchpad.h"

namespace r1::tasks {
namespace {

// Parameters: {value, from, to}, bases 2..10.
constexpr std::int64_t kDecimal = 10;

std::string digits_of(std::int64_t value, std::int64_t base) {
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + value % base));
    value /= base;
  } while (value > 0);
  return digits;
}

// Small bases have long numbers; they get small values.
std::int64_t largest_value(std::int64_t base) { return base == 2 ? 63 : base == 3 ? 161 : 199; }

constexpr std::int64_t kLargestTwoConversions = 99;
constexpr std::int64_t kLargestWithBinary = 31;

class BaseConversion : public Task {
 public:
  std::string_view name() const override { return "base"; }
  std::string_view description() const override {
    return "conversion of whole numbers below 200 between bases 2 to 10";
  }

  Verdict verify(const Problem& problem, std::string_view answer) const override {
    const Parameters& p = problem.parameters;
    const auto text = normalized_answer(answer);
    if (!text) return wrong("no answer, or one too long");
    std::string_view digits = *text;
    while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
    const std::string expected = digits_of(p[0], p[2]);
    return verdict(digits == expected, fmt::format("'{}' is not {}", digits, expected));
  }

  // Between two bases the way leads through the decimal number.
  std::vector<Parameters> contained_problems(const Parameters& p) const override {
    if (p[1] == kDecimal || p[2] == kDecimal) return {};
    return {{p[0], p[1], kDecimal}, {p[0], kDecimal, p[2]}};
  }

 protected:
  Parameters draw(int difficulty, Rng& rng) const override {
    for (;;) {
      std::int64_t from = kDecimal, to = kDecimal;
      if (difficulty == 1) {
        to = rng.between(2, 9);
      } else if (difficulty == 2) {
        from = rng.between(2, 9);
      } else {
        from = rng.between(2, 9);
        to = rng.between(2, 9);
        if (from == to) continue;
      }
      std::int64_t most = std::min(largest_value(from), largest_value(to));
      if (difficulty == 3) {
        most = std::min(from, to) == 2 ? kLargestWithBinary : kLargestTwoConversions;
      }
      return {rng.between(10, most), from, to};
    }
  }

  std::string question(const Parameters& p, Language language, Rng& rng) const override {
    const std::string digits = digits_of(p[0], p[1]);
    const bool first = rng.chance(0.5);
    if (language == Language::kEnglish) {
      if (p[1] == kDecimal) {
        return first ? fmt::format("Convert {} to base {}.", digits, p[2])
                     : fmt::format("Write {} in base {}.", digits, p[2]);
      }
      if (p[2] == kDecimal) {
        return first ? fmt::format("Convert {} from base {} to decimal.", digits, p[1])
                     : fmt::format("What is {} in base {} as a decimal number?", digits, p[1]);
      }
      return fmt::format("Convert {} from base {} to base {}.", digits, p[1], p[2]);
    }
    if (p[1] == kDecimal) {
      return first ? fmt::format("把{}转换成{}进制。", digits, p[2])
                   : fmt::format("{}用{}进制怎么写？", digits, p[2]);
    }
    if (p[2] == kDecimal) {
      return first ? fmt::format("把{}进制数{}转换成十进制。", p[1], digits)
                   : fmt::format("{}进制数{}等于十进制的多少？", p[1], digits);
    }
    return fmt::format("把{}进制数{}转换成{}进制。", p[1], digits, p[2]);
  }

  std::string gold(const Parameters& p, Language) const override { return digits_of(p[0], p[2]); }

  std::string near_miss(const Problem& problem, Rng& rng) const override {
    const Parameters& p = problem.parameters;
    return digits_of(near_number(p[0], rng), p[2]);
  }

  std::string write_steps(const Problem& problem, Scratchpad& pad) const override {
    const Parameters& p = problem.parameters;
    const std::int64_t value =
        p[1] == kDecimal ? p[0] : write_reading(digits_of(p[0], p[1]), p[1], pad);
    std::string answer =
        p[2] == kDecimal ? fmt::format("{}", value) : write_dividing(value, p[2], pad);
    if (pad.checks() && p[1] == kDecimal && answer.size() < 5) {
      pad.next().say("Check: ", "检验：").text(horner_check(answer, p[2]));
    }
    return answer;
  }

 private:
  // Horner's rule: take the first digit, then times the base plus the next digit. What is still to
  // read stands at the end of each line.
  static std::int64_t write_reading(std::string_view digits, std::int64_t base, Scratchpad& pad) {
    std::int64_t value = digits.front() - '0';
    pad.number(value);
    for (std::size_t i = 1; i <= digits.size(); ++i) {
      if (!pad.brief() && i < digits.size()) {
        pad.say(", left ", "，剩").text(digits.substr(i));
      }
      pad.next();
      if (i == digits.size()) break;
      const std::int64_t digit = digits[i] - '0';
      std::string line = fmt::format("{}*{}+{}", value, base, digit);
      if (!pad.brief()) line += fmt::format("={}+{}", value * base, digit);
      value = pad.calculate(line, value * base + digit);
    }
    return value;
  }

  // Repeated division; the remainders are gathered from the right as they appear.
  static std::string write_dividing(std::int64_t value, std::int64_t base, Scratchpad& pad) {
    std::string digits;
    for (;;) {
      const std::int64_t remainder = pad.step(value % base) % base;
      digits.insert(digits.begin(), static_cast<char>('0' + remainder));
      if (value < base) break;
      pad.text(fmt::format("{}={}*{}+{}", value, value / base, base, remainder));
      if (!pad.brief()) pad.say(", write ", "，写").text(digits);
      pad.next();
      value /= base;
    }
    pad.number(value);
    if (!pad.brief()) pad.say(", write ", "，写").text(digits);
    pad.next();
    return digits;
  }

  static std::string horner_check(std::string_view digits, std::int64_t base) {
    std::int64_t value = digits.front() - '0';
    std::string text;
    for (const char c : digits.substr(1)) {
      const std::int64_t result = value * base + (c - '0');
      text += fmt::format("{}{}*{}+{}={}", text.empty() ? "" : ", ", value, base, c, result);
      value = result;
    }
    return text;
  }
};

}  // namespace

std::unique_ptr<Task> make_base() { return std::make_unique<BaseConversion>(); }

}  // namespace r1::tasks
