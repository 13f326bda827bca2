#pragma once

#include <string_view>

namespace r1 {

// Whether the whole text is well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing
// above U+10FFFF, no sequence cut off.
bool is_utf8(std::string_view text);

}  // namespace r1
