#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "tasks/answer_text.h"
#include "tasks/families.h"
#include "tasks/scratchpad.h"

namespace r1::tasks {
namespace {

constexpr std::int64_t kMaxNumber = 99;  // of any on the way

// Parameters: {form, a, b, c, d}; unused ones are 0.
enum Form : std::int64_t {
  kPlusForm,      // ax+b=c
  kMinusForm,     // ax-b=c
  kBracketForm,   // a(x+b)=c
  kBothSides,     // ax+b=cx+d, a>c, d>b
  kBothSidesNeg,  // ax-b=cx+d, a>c
};

std::int64_t solution_of(const Parameters& p) {
  const std::int64_t a = p[1], b = p[2], c = p[3], d = p[4];
  switch (p[0]) {
    case kPlusForm:
      return (c - b) / a;
    case kMinusForm:
      return (c + b) / a;
    case kBracketForm:
      return c / a - b;
    case kBothSides:
      return (d - b) / (a - c);
    case kBothSidesNeg:
      return (d + b) / (a - c);
    default:
      R1_CHECK(false, "form {}", p[0]);
  }
}

// 1x is written x.
std::string term(std::int64_t a) { return a == 1 ? "x" : fmt::format("{}x", a); }

std::string equation(const Parameters& p, bool spaced) {
  const std::int64_t a = p[1], b = p[2], c = p[3], d = p[4];
  const std::string_view plus = spaced ? " + " : "+";
  const std::string_view minus = spaced ? " - " : "-";
  const std::string_view equals = spaced ? " = " : "=";
  switch (p[0]) {
    case kPlusForm:
      return fmt::format("{}{}{}{}{}", term(a), plus, b, equals, c);
    case kMinusForm:
      return fmt::format("{}{}{}{}{}", term(a), minus, b, equals, c);
    case kBracketForm:
      return fmt::format("{}(x{}{}){}{}", a, plus, b, equals, c);
    case kBothSides:
      return fmt::format("{}{}{}{}{}{}{}", term(a), plus, b, equals, term(c), plus, d);
    default:
      return fmt::format("{}{}{}{}{}{}{}", term(a), minus, b, equals, term(c), plus, d);
  }
}

class Linear : public Task {
 public:
  std::string_view name() const override { return "linear"; }
  std::string_view description() const override {
    return "linear equations in x with a whole solution";
  }

  Verdict verify(const Problem& problem, std::string_view answer) const override {
    return verify_integer(answer, solution_of(problem.parameters), 'x');
  }

 protected:
  Parameters draw(int difficulty, Rng& rng) const override {
    for (;;) {
      const std::int64_t a = rng.between(2, 9);
      const std::int64_t x = rng.between(2, 12);
      const std::int64_t b = rng.between(1, 40);
      if (a * x + b > kMaxNumber) continue;
      if (difficulty == 1) return {kPlusForm, a, b, a * x + b, 0};
      if (difficulty == 2) {
        if (rng.chance(0.5)) {
          if (a * x > b) return {kMinusForm, a, b, a * x - b, 0};
        } else if (const std::int64_t inner = rng.between(1, 9); a * (x + inner) <= kMaxNumber) {
          return {kBracketForm, a, inner, a * (x + inner), 0};
        }
        continue;
      }
      const std::int64_t c = rng.between(1, 8);
      if (c >= a) continue;
      const std::int64_t constant = rng.between(1, 30);
      if ((a - c) * x + constant > kMaxNumber) continue;
      if (rng.chance(0.6)) return {kBothSides, a, constant, c, (a - c) * x + constant};
      if ((a - c) * x > constant) return {kBothSidesNeg, a, constant, c, (a - c) * x - constant};
    }
  }

  std::string question(const Parameters& p, Language language, Rng& rng) const override {
    const std::string text = equation(p, rng.chance(0.5));
    const std::uint32_t phrasing = rng.below(3);
    if (language == Language::kEnglish) {
      return phrasing == 0   ? fmt::format("Solve {} for x.", text)
             : phrasing == 1 ? fmt::format("Find x: {}.", text)
                             : fmt::format("If {}, what is x?", text);
    }
    return phrasing == 0   ? fmt::format("解方程{}。", text)
           : phrasing == 1 ? fmt::format("已知{}，求x。", text)
                           : fmt::format("求x：{}。", text);
  }

  std::string gold(const Parameters& p, Language) const override {
    return fmt::format("{}", solution_of(p));
  }

  std::string near_miss(const Problem& problem, Rng& rng) const override {
    return fmt::format("{}", near_number(solution_of(problem.parameters), rng));
  }

  std::string write_steps(const Problem& problem, Scratchpad& pad) const override {
    const Parameters& p = problem.parameters;
    std::int64_t a = p[1], b = p[2], c = p[3];
    std::int64_t x = 0;
    if (p[0] == kBracketForm) {
      if (!pad.brief()) pad.text(fmt::format("x+{}=", b));
      const std::int64_t sum = pad.calculate(fmt::format("{}/{}", c, a), c / a);
      if (!pad.brief())
        pad.next().text("x=");
      else
        pad.next();
      x = pad.calculate(fmt::format("{}-{}", sum, b), sum - b);
    } else {
      std::int64_t constant = c;
      if (p[0] == kBothSides || p[0] == kBothSidesNeg) {
        constant = p[4];
        if (!pad.brief()) {
          pad.text(fmt::format("{}-{}={}", term(a), term(c), term(a - c))).next();
        }
        a -= c;
      }
      const bool plus = p[0] == kPlusForm || p[0] == kBothSides;
      if (!pad.brief()) pad.text(term(a)).text("=");
      constant = pad.calculate(fmt::format("{}{}{}", constant, plus ? '-' : '+', b),
                               plus ? constant - b : constant + b);
      pad.next();
      if (a == 1) {
        x = constant;
      } else {
        if (!pad.brief()) pad.text("x=");
        x = pad.calculate(fmt::format("{}/{}", constant, a), constant / a);
      }
    }
    pad.next();
    if (pad.checks()) check(p, x, pad);
    return fmt::format("{}", x);
  }

 private:
  // Substitutes x in the left side, and in the right one where x stands there.
  static void check(const Parameters& p, std::int64_t x, Scratchpad& pad) {
    const std::int64_t a = p[1], b = p[2], c = p[3], d = p[4];
    pad.say("Check: ", "检验：");
    if (p[0] == kBracketForm) {
      pad.text(fmt::format("{}+{}={}, {}*{}={}", x, b, x + b, a, x + b, a * (x + b)));
      return;
    }
    const bool plus = p[0] == kPlusForm || p[0] == kBothSides;
    pad.text(fmt::format("{}*{}={}, {}{}{}={}", a, x, a * x, a * x, plus ? '+' : '-', b,
                         plus ? a * x + b : a * x - b));
    if (p[0] == kBothSides || p[0] == kBothSidesNeg) {
      pad.next().text(fmt::format("{}*{}={}, {}+{}={}", c, x, c * x, c * x, d, c * x + d));
    }
  }
};

}  // namespace

std::unique_ptr<Task> make_linear() { return std::make_unique<Linear>(); }

}  // namespace r1::tasks
