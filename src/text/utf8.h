#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace r1::text {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

enum class Utf8Kind {
  kValid,       // one whole code point
  kInvalid,     // a maximal subpart that can never become one (Unicode 15, section 3.9)
  kIncomplete,  // a correct beginning, cut off by the end of the text
};

struct Utf8Step {
  Utf8Kind kind = Utf8Kind::kInvalid;
  std::uint32_t length = 0;      // bytes, at least 1
  std::uint32_t code_point = 0;  // only of a valid step
};

// Reads one step at the front of `text`, which must not be empty. Overlong forms, surrogates and
// values above U+10FFFF are invalid.
Utf8Step next_utf8(std::string_view text);

// The start of the last code point of `text` if that is whole, else text.size().
std::size_t last_code_point(std::string_view text);

// Calls `run(bytes, valid)` for the longest runs of valid and of invalid bytes, in order.
void for_each_utf8_run(std::string_view text,
                       const std::function<void(std::string_view bytes, bool valid)>& run);

// The code point as UTF-8, appended to `out`.
void append_utf8(std::uint32_t code_point, std::string& out);

}  // namespace r1::text
