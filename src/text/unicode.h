#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace r1::text {

// Unicode facts the tokenizer needs beyond its regular expressions, taken from ICU.

// Normal form C. Runs of invalid UTF-8 pass unchanged.
std::string to_nfc(std::string_view text);

// The property White_Space.
bool is_white_space(std::uint32_t code_point);

// What \w means in Oniguruma: alphabetic, mark, decimal number or connector punctuation.
bool is_word(std::uint32_t code_point);

}  // namespace r1::text
