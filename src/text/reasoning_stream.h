#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/stop_matcher.h"
#include "text/stream_decoder.h"
#include "text/thinking_parser.h"

namespace r1::text {

struct ReasoningStreamOptions {
  CompletionForm form = CompletionForm::kPlain;
  SectionKind starts_in = SectionKind::kOther;
  bool continues = false;               // the prompt ends within the section that it starts in
  std::vector<std::string> stops = {};  // end the completion where they occur outside of thinking
  bool show_tags = false;  // no splitting: the tags stay in the text, which is one section
};

// A completion on its way from tokens to readers, where thinking and answer go separate ways: whole
// UTF-8, split by the ids of the tags where the vocabulary has them as tokens (a text that only
// spells a tag is a text), else by their text.
class ReasoningStream {
 public:
  // Throws Error for impossible stop strings.
  ReasoningStream(Tokenizer tokenizer, ReasoningStreamOptions options);

  struct Step {
    std::vector<SectionEvent> pieces;           // what this token lets a reader see
    SectionKind section = SectionKind::kOther;  // that the token belongs to
    bool tag = false;  // it opened or closed a section, or is a control token: no part of the text
  };
  Step push(std::int32_t id);
  // The end of the tokens; what was held back.
  std::vector<SectionEvent> finish();
  // Whether a stop string was found: no more tokens are needed.
  bool stopped() const { return stops_.stopped(); }
  const std::string& stop_found() const { return stops_.found(); }

 private:
  // The part that stands before any stop string.
  std::vector<SectionEvent> before_stop(std::vector<SectionEvent> events);

  Tokenizer tokenizer_;
  StreamDecoder decoder_;
  StopMatcher stops_;
  std::unordered_map<std::int32_t, std::string> tags_;  // by id; empty: they are found in the text
  ThinkingParser parser_;
};

}  // namespace r1::text
