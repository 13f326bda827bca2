#pragma once

#include <string>
#include <string_view>

#include "serve/http/message.h"
#include "serve/limits.h"

namespace r1::serve {

// What is wrong with the head of a request before any parser has read it: an answer's status and
// words. Two programs that read the same bytes differently can be played off against each other
// (request smuggling), so whatever can be read in two ways is refused: lines that do not end in
// CR LF, folded lines, white space around names, a second Host, Content-Length or
// Transfer-Encoding, the two of them together, codings other than "chunked".
struct HeadProblem {
  int status = 0;  // 0: none
  std::string message;
};

// head: all up to and with the empty line.
HeadProblem check_head(std::string_view head, const Limits& limits);

// The path and query of a request's target, decoded. False for one that leaves its folder ("..") or
// holds what no path has (NUL, backslashes, half an escape).
bool parse_target(std::string_view target, HttpRequest& request);

}  // namespace r1::serve
