#include "text/completion_stream.h"

namespace r1::text {

std::vector<SectionEvent> CompletionStream::push(std::int32_t id) {
  const std::string piece = stops_.push(decoder_.push(id));
  text_ += piece;
  return parser_.push(piece);
}

std::vector<SectionEvent> CompletionStream::finish() {
  const std::string piece = stops_.push(decoder_.flush()) + stops_.finish();
  text_ += piece;
  return parser_.finish(piece);
}

}  // namespace r1::text
