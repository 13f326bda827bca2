#pragma once

#include <string>

namespace r1::text {

// A piece of a rendered prompt and who wrote it. Control tokens are recognised only in what the
// template wrote; a user's text is text, whatever it spells (see PromptEncoder).
struct PromptSegment {
  std::string text;
  bool from_user = false;

  bool operator==(const PromptSegment&) const = default;
};

}  // namespace r1::text
