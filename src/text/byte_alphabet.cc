#include "text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "text/utf8.h"

namespace r1::text {
namespace {

struct Alphabet {
  std::array<std::uint16_t, 256> code_point_of{};
  std::array<std::int16_t, 0x100 + 68> byte_of{};
};

constexpr bool is_printable(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte_of) byte = -1;
  int shifted = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const int code_point = is_printable(byte) ? byte : shifted++;
    alphabet.code_point_of[static_cast<std::size_t>(byte)] = static_cast<std::uint16_t>(code_point);
    alphabet.byte_of[static_cast<std::size_t>(code_point)] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string to_byte_alphabet(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const char byte : bytes) {
    append_utf8(kAlphabet.code_point_of[static_cast<unsigned char>(byte)], text);
  }
  return text;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = next_utf8(text);
    if (step.kind != Utf8Kind::kValid || step.code_point >= kAlphabet.byte_of.size()) return {};
    const std::int16_t byte = kAlphabet.byte_of[step.code_point];
    if (byte < 0) return {};
    bytes += static_cast<char>(byte);
    text.remove_prefix(step.length);
  }
  return bytes;
}

}  // namespace r1::text
