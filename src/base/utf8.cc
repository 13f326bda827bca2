#include "base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace r1 {

bool is_utf8(std::string_view text) {
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};  // by length of the sequence
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    if (lead < 0x80) continue;
    if (lead < 0xC0 || lead >= 0xF8) return false;
    const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (text.size() - i < length - 1) return false;
    std::uint32_t code_point = lead & (0x7Fu >> length);
    for (const std::size_t end = i + length - 1; i < end; ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if ((byte & 0xC0u) != 0x80) return false;
      code_point = code_point << 6 | (byte & 0x3Fu);
    }
    if (code_point < kSmallest[length] || code_point > 0x10FFFF) return false;
    if (code_point >= 0xD800 && code_point < 0xE000) return false;
  }
  return true;
}

}  // namespace r1
