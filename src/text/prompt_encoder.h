#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/added_tokens.h"
#include "text/prompt_segment.h"
#include "text/tokenizer.h"

namespace r1::text {

// Prompts of several authors to token ids. Control tokens are recognised where they lie within text
// of the template's own; a user's text, and what a user's text forms with its neighbours, never
// becomes one. All else is encoded as if it were one text, so that the ids equal those of the whole
// prompt with parse_special wherever the user wrote no control token.
//
// Immutable, safe from many threads.
class PromptEncoder {
 public:
  explicit PromptEncoder(Tokenizer tokenizer);

  std::vector<std::int32_t> encode(std::span<const PromptSegment> segments) const;

 private:
  Tokenizer tokenizer_;
  std::vector<AddedToken> control_;
  AddedTokenMatcher matcher_;  // of control_
};

}  // namespace r1::text
