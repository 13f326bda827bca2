#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/task.h"

// Reading answers as people and models write them.
namespace r1::tasks {

// Longer answers are wrong without being read.
inline constexpr std::size_t kMaxAnswerBytes = 256;

// Trimmed, full-width forms and typographic operators as ASCII (７ → 7, ＝ → =, × → *, ， → comma),
// one final full stop dropped. Nothing for answers that are empty or too long.
std::optional<std::string> normalized_answer(std::string_view answer);

// A whole number, nothing else; at most 18 digits. Takes a normalised answer.
std::optional<std::int64_t> parse_integer(std::string_view text);

// Numbers separated by commas or white space, brackets around them allowed.
std::optional<std::vector<std::int64_t>> parse_integer_list(std::string_view text);

Verdict right();
Verdict wrong(std::string reason);
Verdict verdict(bool correct, std::string_view reason_if_wrong);

// Normalises and compares with one whole number; a leading "=" or "<variable>=" is accepted.
Verdict verify_integer(std::string_view answer, std::int64_t expected, char variable = '\0');

// Decimal numbers with `separator` between them.
std::string join(const std::vector<std::int64_t>& numbers, std::string_view separator);

}  // namespace r1::tasks
