#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace r1::text {

// The byte-level alphabet of GPT-2, in which tokenizer.json spells arbitrary bytes as readable
// text: printable Latin-1 bytes stand for themselves, the other 68, in increasing order, are
// U+0100, U+0101, ... (space becomes "Ġ", newline "Ċ").
std::string to_byte_alphabet(std::string_view bytes);

// The bytes that `text` spells; nothing if it holds a character outside the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace r1::text
