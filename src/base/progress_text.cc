#include "base/progress_text.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace r1 {
namespace {

struct Glyph {
  std::string_view bytes;  // safe to print
  std::size_t width = 1;   // columns
  bool newline = false;
  bool space = false;
};

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kEllipsis = "\xE2\x80\xA6";

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};
// Unicode's East Asian Width W and F, and the blocks of emoji, merged.
constexpr Range kWide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},
                           {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},
                           {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
                           {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F},
                           {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
constexpr Range kZero[] = {
    {0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}};
// Controls, and what reverses the direction of writing.
constexpr Range kUnsafe[] = {{0x00, 0x1F},     {0x7F, 0x9F},     {0x2028, 0x202E},
                             {0x2066, 0x2069}, {0xD800, 0xDFFF}, {0xFEFF, 0xFEFF}};

template <std::size_t N>
bool within(const Range (&ranges)[N], std::uint32_t code) {
  return std::ranges::any_of(ranges,
                             [code](const Range& r) { return r.first <= code && code <= r.last; });
}

// Takes the first character off `rest`, which is not empty.
Glyph take_glyph(std::string_view& rest) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(rest[i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead < 0x80       ? 1
                             : lead >> 5 == 6  ? 2
                             : lead >> 4 == 14 ? 3
                             : lead >> 3 == 30 ? 4
                                               : 0;
  std::uint32_t code = length <= 1 ? lead : lead & (0x7Fu >> length);
  std::size_t read = 1;
  while (read < length && read < rest.size() && byte(read) >> 6 == 2) {
    code = code << 6 | (byte(read++) & 0x3Fu);
  }
  constexpr std::uint32_t kShortest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool valid = length > 0 && read == length && code >= kShortest[length] && code <= 0x10FFFF;
  const std::string_view bytes = rest.substr(0, valid ? length : 1);
  rest.remove_prefix(bytes.size());
  if (valid && code == '\n') return {.bytes = bytes, .width = 0, .newline = true};
  if (valid && code == '\t') return {.bytes = " ", .space = true};
  if (!valid || within(kUnsafe, code)) return {.bytes = kReplacement};
  const std::size_t width = within(kWide, code) ? 2 : within(kZero, code) ? 0 : 1;
  return {.bytes = bytes, .width = width, .space = code == ' '};
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) width += take_glyph(text).width;
  return width;
}

std::string fit_to_width(std::string_view text, std::size_t width) {
  std::string whole, cut;  // cut: the longest beginning that leaves room for the ellipsis
  std::size_t used = 0;
  while (!text.empty()) {
    const Glyph glyph = take_glyph(text);
    used += glyph.newline ? 1 : glyph.width;
    if (used > width) return width == 0 ? "" : cut + std::string(kEllipsis);
    whole += glyph.newline ? kReplacement : glyph.bytes;
    if (used < width) cut = whole;
  }
  return whole;
}

std::vector<std::string> wrap_to_width(std::string_view text, std::size_t width) {
  width = std::max<std::size_t>(width, 2);
  std::vector<std::string> lines(1);
  std::size_t used = 0;        // columns of the last line
  std::size_t break_at = 0;    // bytes of the last line up to and with its last space
  std::size_t break_used = 0;  // columns of that part
  while (!text.empty()) {
    const Glyph glyph = take_glyph(text);
    if (glyph.newline) {
      lines.emplace_back();
      used = break_at = break_used = 0;
      continue;
    }
    if (used + glyph.width > width) {
      std::string carried;
      // A space at the break is dropped; a word too long for a line is broken anywhere.
      if (glyph.space) {
        used = 0;
      } else if (break_at > 0) {
        carried = lines.back().substr(break_at);
        lines.back().resize(break_at - 1);
        used -= break_used;
      } else {
        used = 0;
      }
      lines.push_back(std::move(carried));
      break_at = break_used = 0;
      if (glyph.space) continue;
    }
    lines.back() += glyph.bytes;
    used += glyph.width;
    if (glyph.space) {
      break_at = lines.back().size();
      break_used = used;
    }
  }
  return lines;
}

}  // namespace r1
