#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/stop_matcher.h"
#include "text/stream_decoder.h"
#include "text/thinking_parser.h"

namespace r1::text {

// A completion on its way from tokens to readers: whole UTF-8, ended at a stop string, split into
// thinking and answer. Bounded memory besides the text itself.
class CompletionStream {
 public:
  explicit CompletionStream(Tokenizer tokenizer, std::vector<std::string> stops = {},
                            ThinkingParser parser = ThinkingParser())
      : decoder_(std::move(tokenizer)), stops_(std::move(stops)), parser_(std::move(parser)) {}

  // What this token lets a reader see. Nothing once stopped.
  std::vector<SectionEvent> push(std::int32_t id);
  // The end of the tokens; what was held back.
  std::vector<SectionEvent> finish();
  // Whether a stop string was found: no more tokens are needed.
  bool stopped() const { return stops_.stopped(); }

  // Everything so far, tags included, up to the stop string.
  const std::string& text() const { return text_; }

 private:
  StreamDecoder decoder_;
  StopMatcher stops_;
  ThinkingParser parser_;
  std::string text_;
};

}  // namespace r1::text
