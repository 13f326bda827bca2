#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "tasks/answer_text.h"
#include "tasks/families.h"
#include "tasks/scratchpad.h"

namespace r1::tasks {
namespace {

// Parameters: {form, modulus, a, b, c}; unused ones are 0.
enum Form : std::int64_t {
  kProduct,     // a*b
  kProductSum,  // a*b+c
  kPower,       // a^b
};

std::int64_t value_of(const Parameters& p) {
  const std::int64_t modulus = p[1], a = p[2], b = p[3], c = p[4];
  if (p[0] != kPower) return (a * b + c) % modulus;
  std::int64_t power = 1;
  for (std::int64_t i = 0; i < b; ++i) power = power * a % modulus;
  return power;
}

std::string expression(const Parameters& p, bool spaced) {
  if (p[0] == kPower) return fmt::format("{}^{}", p[2], p[3]);
  std::string text = fmt::format(fmt::runtime(spaced ? "{} * {}" : "{}*{}"), p[2], p[3]);
  if (p[0] == kProductSum) text += fmt::format(fmt::runtime(spaced ? " + {}" : "+{}"), p[4]);
  return text;
}

class Modular : public Task {
 public:
  std::string_view name() const override { return "modular"; }
  std::string_view description() const override {
    return "remainders of products, sums and powers modulo 3 to 9";
  }

  Verdict verify(const Problem& problem, std::string_view answer) const override {
    return verify_integer(answer, value_of(problem.parameters));
  }

  Parameters split_key(const Parameters& p) const override {
    Parameters key = p;
    if (p[0] != kPower && key[2] > key[3]) std::swap(key[2], key[3]);
    return key;
  }

 protected:
  Parameters draw(int difficulty, Rng& rng) const override {
    const std::int64_t modulus = rng.between(3, 9);
    if (difficulty == 3 && rng.chance(0.5)) {
      return {kPower, modulus, rng.between(2, 30), rng.between(3, 5), 0};
    }
    const std::int64_t most = difficulty == 3 ? 70 : 50;
    const std::int64_t a = rng.between(11, most), b = rng.between(11, most);
    if (difficulty == 1) return {kProduct, modulus, a, b, 0};
    return {kProductSum, modulus, a, b, rng.between(5, 30)};
  }

  std::string question(const Parameters& p, Language language, Rng& rng) const override {
    const std::string text = expression(p, rng.chance(0.5));
    const bool first = rng.chance(0.5);
    if (language == Language::kEnglish) {
      return first ? fmt::format("What is ({}) mod {}?", text, p[1])
                   : fmt::format("Find the remainder of {} divided by {}.", text, p[1]);
    }
    return first ? fmt::format("({}) mod {}等于多少？", text, p[1])
                 : fmt::format("求{}除以{}的余数。", text, p[1]);
  }

  std::string gold(const Parameters& p, Language) const override {
    return fmt::format("{}", value_of(p));
  }

  std::string near_miss(const Problem& problem, Rng& rng) const override {
    const std::int64_t modulus = problem.parameters[1];
    const std::int64_t shift = rng.between(1, modulus - 1);
    return fmt::format("{}", (value_of(problem.parameters) + shift) % modulus);
  }

  std::string write_steps(const Problem& problem, Scratchpad& pad) const override {
    const Parameters& p = problem.parameters;
    const std::int64_t modulus = p[1];
    std::int64_t value = write_remainder(p[2], modulus, pad);
    if (p[0] == kPower) {
      const std::int64_t base = value;
      for (std::int64_t exponent = 2; exponent <= p[3]; ++exponent) {
        if (!pad.brief()) pad.text(fmt::format("^{}: ", exponent));
        value = pad.calculate(fmt::format("{}*{}", value, base), value * base);
        pad.text(", ");
        value = write_remainder(value, modulus, pad);
      }
    } else {
      const std::int64_t second = write_remainder(p[3], modulus, pad);
      value = pad.calculate(fmt::format("{}*{}", value, second), value * second);
      pad.next();
      if (p[0] == kProductSum) {
        value = pad.calculate(fmt::format("{}+{}", value, p[4]), value + p[4]);
        pad.next();
      }
      value = write_remainder(value, modulus, pad);
    }
    if (pad.checks()) {
      pad.say("Check: ", "检验：").text(fmt::format("{}<{}", value, modulus));
    }
    return fmt::format("{}", value);
  }

 private:
  // "37=5*7+2"
  static std::int64_t write_remainder(std::int64_t value, std::int64_t modulus, Scratchpad& pad) {
    const std::int64_t remainder = pad.step(value % modulus) % modulus;
    if (!pad.brief()) pad.text(fmt::format("{}={}*{}+", value, value / modulus, modulus));
    pad.number(remainder).next();
    return remainder;
  }
};

}  // namespace

std::unique_ptr<Task> make_modular() { return std::make_unique<Modular>(); }

}  // namespace r1::tasks
