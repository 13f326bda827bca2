#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace r1::text::jinja {

enum class TokenKind {
  kText,           // outside all tags, white space control applied
  kVariableBegin,  // {{
  kVariableEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,    // text: what it means, escapes resolved
  kInteger,   // text: as it is written, without underscores
  kFloat,     // the same
  kOperator,  // brackets and punctuation too
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 1;
};

// The tokens of a template, kEnd last. White space is treated as transformers sets Jinja up:
// trim_blocks and lstrip_blocks on, one line end at the end of the template dropped, comments left
// out. Throws Error naming `where` and the line.
std::vector<Token> tokenize(std::string_view source, std::string_view where);

// Throws Error: "<where>: line <line>: <what>".
[[noreturn]] void refuse(std::string_view where, int line, std::string_view what,
                         std::string_view advice = {});

}  // namespace r1::text::jinja
