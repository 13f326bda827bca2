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

// How a model's completions are built.
enum class CompletionForm {
  kTagged,  // <think>...</think> <answer>...</answer>, as R1-Zero does; the rest is kOther
  kChat,    // thinking, if any, then the answer until the end, as R1 does
  kPlain,   // no parts: all is kOther, to the byte
};

// Splits a completion, as it streams in, into thinking, answer and the rest. Tags may be cut
// anywhere. Each section comes without the white space at its two ends (but kPlain); text is held
// back only while it may still be part of a tag or of such white space.
//
// Forgiving, because models are not: an end of stream closes anything, and a closing tag without
// its opening one is plain text. kTagged: <answer> ends a thinking section that was never closed.
// kChat: <think> opens only before the answer; behind its first words it is text like any other.
class ThinkingParser {
 public:
  enum class Tags {
    kInText,    // found in the pieces
    kSeparate,  // given to push_tag; a piece that spells one is text
  };
  // starts_in: kThinking for templates whose prompt already ends with "<think>".
  explicit ThinkingParser(CompletionForm form = CompletionForm::kTagged,
                          SectionKind starts_in = SectionKind::kOther, Tags tags = Tags::kInText);

  // The prompt has begun this section's text: white space in front belongs to it.
  void continue_section() { section_begun_ = true; }

  std::vector<SectionEvent> push(std::string_view piece);
  // A token that is one of tags_of(form). Where it means nothing it is text.
  std::vector<SectionEvent> push_tag(std::string_view tag);
  // The last piece and the end of the stream: what was held back as a possible tag is text after
  // all.
  std::vector<SectionEvent> finish(std::string_view last_piece = {});

  // The section that the next text belongs to.
  SectionKind section() const { return kind_; }
  // The tags that mean something in a form, each once.
  static std::vector<std::string_view> tags_of(CompletionForm form);

 private:
  void read(bool at_end, std::vector<SectionEvent>& events);
  void enter(SectionKind kind);
  void emit(std::string_view text, std::vector<SectionEvent>& events);

  CompletionForm form_;
  Tags tags_;
  SectionKind outside_;  // what stands outside of all tags
  SectionKind kind_;
  std::string buffer_;       // not yet read
  std::string white_space_;  // read, and dropped if the section ends here
  bool section_begun_ = false;
};

struct Completion {
  std::string thinking;  // of the first think block, trimmed
  std::string answer;    // of the last answer block, trimmed
  // kTagged: exactly one think block, then exactly one answer block, and nothing else but white
  // space. Otherwise: there is an answer.
  bool well_formed = false;
};

// A finished completion at once. Missing tags are forgiven as by ThinkingParser; well_formed tells.
// Without parts (kPlain) all of it is the answer.
Completion split_completion(std::string_view text, CompletionForm form = CompletionForm::kTagged,
                            SectionKind starts_in = SectionKind::kOther);

}  // namespace r1::text
