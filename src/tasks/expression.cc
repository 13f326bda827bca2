#include "tasks/expression.h"

#include <numeric>

namespace r1::tasks {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::int64_t kMaxLiteral = 1'000'000;

std::optional<Rational> reduced(std::int64_t numerator, std::int64_t denominator) {
  if (denominator == 0) return std::nullopt;
  // The operands below keep away from the minimum, which has no negation.
  if (numerator == INT64_MIN || denominator == INT64_MIN) return std::nullopt;
  const std::int64_t divisor = std::gcd(numerator, denominator);
  const std::int64_t sign = denominator < 0 ? -1 : 1;
  return Rational{sign * (numerator / divisor), sign * (denominator / divisor)};
}

std::optional<Rational> combine(char op, Rational a, Rational b) {
  if (op == '/') {
    if (b.numerator == 0) return std::nullopt;
    std::swap(b.numerator, b.denominator);
    op = '*';
  }
  std::int64_t x = 0, y = 0, numerator = 0, denominator = 0;
  if (__builtin_mul_overflow(a.denominator, b.denominator, &denominator)) return std::nullopt;
  if (op == '*') {
    if (__builtin_mul_overflow(a.numerator, b.numerator, &numerator)) return std::nullopt;
    return reduced(numerator, denominator);
  }
  if (__builtin_mul_overflow(a.numerator, b.denominator, &x) ||
      __builtin_mul_overflow(b.numerator, a.denominator, &y)) {
    return std::nullopt;
  }
  const bool overflow = op == '+' ? __builtin_add_overflow(x, y, &numerator)
                                  : __builtin_sub_overflow(x, y, &numerator);
  if (overflow) return std::nullopt;
  return reduced(numerator, denominator);
}

// Recursive descent: sum := product (('+'|'-') product)*, product := atom (('*'|'/') atom)*.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<Evaluation> parse() {
    const auto value = sum(0);
    if (!value || peek() != '\0') return std::nullopt;
    return Evaluation{*value, std::move(literals_)};
  }

 private:
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    if (at_ == text_.size()) return '\0';
    return text_[at_] == '\0' ? '?' : text_[at_];
  }

  std::optional<Rational> sum(int depth) {
    auto left = product(depth);
    while (left && (peek() == '+' || peek() == '-')) {
      const char op = text_[at_++];
      const auto right = product(depth);
      if (!right) return std::nullopt;
      left = combine(op, *left, *right);
    }
    return left;
  }

  std::optional<Rational> product(int depth) {
    auto left = atom(depth);
    while (left && (peek() == '*' || peek() == '/')) {
      const char op = text_[at_++];
      const auto right = atom(depth);
      if (!right) return std::nullopt;
      left = combine(op, *left, *right);
    }
    return left;
  }

  std::optional<Rational> atom(int depth) {
    if (peek() == '(') {
      if (depth >= kMaxDepth) return std::nullopt;
      ++at_;
      const auto value = sum(depth + 1);
      if (!value || peek() != ')') return std::nullopt;
      ++at_;
      return value;
    }
    const auto digit = [&] { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; };
    if (!digit()) return std::nullopt;
    std::int64_t literal = 0;
    while (digit()) {
      literal = literal * 10 + (text_[at_++] - '0');
      if (literal > kMaxLiteral) return std::nullopt;
    }
    literals_.push_back(literal);
    return Rational{literal, 1};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::int64_t> literals_;
};

}  // namespace

std::optional<Evaluation> evaluate_expression(std::string_view text) {
  return Parser(text).parse();
}

}  // namespace r1::tasks
