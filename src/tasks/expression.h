#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace r1::tasks {

struct Rational {
  std::int64_t numerator = 0;
  std::int64_t denominator = 1;  // > 0, no common factor with the numerator
  friend bool operator==(const Rational&, const Rational&) = default;
};

struct Evaluation {
  Rational value;
  std::vector<std::int64_t> literals;  // in order of appearance
};

// Evaluates + - * / and parentheses over non-negative whole numbers, exactly. Nothing for anything
// else: other characters, signs, division by zero, overflow, more than 16 levels of parentheses.
std::optional<Evaluation> evaluate_expression(std::string_view text);

}  // namespace r1::tasks
