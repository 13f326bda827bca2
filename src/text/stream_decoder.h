#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"

namespace r1::text {

// Turns a stream of tokens into text that is always whole UTF-8, however the tokens cut characters.
// What can never become a character is U+FFFD, one per maximal subpart (Unicode 15, section 3.9),
// so the concatenated output equals the repaired bytes of all tokens.
class StreamDecoder {
 public:
  // skip_special: control tokens give no text.
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = true)
      : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

  // The text that this token completes, often empty in the middle of a character.
  std::string push(std::int32_t id);

  // The end of the stream: U+FFFD for a character left unfinished. The decoder can be used again.
  std::string flush();

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  std::string pending_;  // the beginning of a character, at most 3 bytes between calls
};

// All bytes at once, repaired the same way.
std::string repair_utf8(std::string_view bytes);

}  // namespace r1::text
