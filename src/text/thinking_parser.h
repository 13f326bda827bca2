#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace r1::text {

enum class SectionKind { kThinking, kAnswer, kOther };

struct SectionEvent {
  SectionKind kind = SectionKind::kOther;
  std::string text;  // never empty

  bool operator==(const SectionEvent&) const = default;
};

// Splits a completion, as it streams in, into what stands within <think>, within <answer>, and
// outside both. Tags may be cut anywhere. Each section comes without the white space at its two
// ends; text is held back only while it may still be part of a tag or of such white space.
//
// Forgiving, because models are not: <answer> ends a thinking section that was never closed, an end
// of stream closes anything, and a closing tag without its opening one is plain text.
class ThinkingParser {
 public:
  // starts_in: for templates whose prompt already ends with "<think>".
  explicit ThinkingParser(SectionKind starts_in = SectionKind::kOther) : kind_(starts_in) {}

  std::vector<SectionEvent> push(std::string_view piece);
  // The last piece and the end of the stream: what was held back as a possible tag is text after
  // all.
  std::vector<SectionEvent> finish(std::string_view last_piece = {});

 private:
  void read(bool at_end, std::vector<SectionEvent>& events);
  void enter(SectionKind kind);
  void emit(std::string_view text, std::vector<SectionEvent>& events);

  SectionKind kind_;
  std::string buffer_;       // not yet read
  std::string white_space_;  // read, and dropped if the section ends here
  bool section_begun_ = false;
};

struct Completion {
  std::string thinking;  // of the first think block, trimmed
  std::string answer;    // of the last answer block, trimmed
  // Exactly one think block, then exactly one answer block, and nothing else but white space.
  bool well_formed = false;
};

// A finished completion at once. Missing tags are forgiven as by ThinkingParser; well_formed tells.
Completion split_completion(std::string_view text);

}  // namespace r1::text
