#include "text/stream_decoder.h"

#include "text/utf8.h"

namespace r1::text {
namespace {

// Appends the repaired form of `bytes` to `out`, up to an unfinished character at the end; returns
// the length of that.
std::size_t repair(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    const Utf8Step step = next_utf8(bytes);
    if (step.kind == Utf8Kind::kIncomplete) return bytes.size();
    out += step.kind == Utf8Kind::kValid ? bytes.substr(0, step.length) : kReplacement;
    bytes.remove_prefix(step.length);
  }
  return 0;
}

}  // namespace

std::string StreamDecoder::push(std::int32_t id) {
  if (skip_special_ && tokenizer_.is_control(id)) return {};
  pending_ += tokenizer_.token_bytes(id);
  std::string text;
  const std::size_t left = repair(pending_, text);
  pending_.erase(0, pending_.size() - left);
  return text;
}

std::string StreamDecoder::flush() {
  if (pending_.empty()) return {};
  pending_.clear();
  return std::string(kReplacement);
}

std::string repair_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  if (repair(bytes, text) > 0) text += kReplacement;
  return text;
}

}  // namespace r1::text
