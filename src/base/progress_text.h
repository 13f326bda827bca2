#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace r1 {

// UTF-8 text measured in terminal columns: CJK and emoji take two, combining marks none. Bytes that
// are not UTF-8 and control characters, which could move the cursor, count as one U+FFFD.

std::size_t display_width(std::string_view text);

// The text made safe to print, cut to at most `width` columns, with "…" as the last where cut.
std::string fit_to_width(std::string_view text, std::size_t width);

// Lines of at most `width` columns (at least 2), broken at '\n' and, where possible, at spaces.
std::vector<std::string> wrap_to_width(std::string_view text, std::size_t width);

}  // namespace r1
