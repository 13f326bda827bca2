#include "cli/answer_printer.h"

#include "cli/terminal.h"

namespace r1::cli {
namespace {

constexpr std::string_view kDim = "\x1b[2m", kNormal = "\x1b[0m";

std::string_view heading(text::SectionKind kind) {
  switch (kind) {
    case text::SectionKind::kThinking:
      return "Thinking:\n";
    case text::SectionKind::kAnswer:
      return "Answer:\n";
    case text::SectionKind::kOther:
      return "Text:\n";
  }
  return {};
}

}  // namespace

void AnswerPrinter::print(const text::SectionEvent& event) {
  if (section_ != event.kind) {
    if (section_) {
      finish();
      show("\n");
    }
    section_ = event.kind;
    if (headings_) {
      show(heading(event.kind));
    } else if (styles_ && event.kind == text::SectionKind::kThinking) {
      show(kDim);
    }
  }
  show(stdout_is_terminal() ? printable(event.text) : event.text);
}

void AnswerPrinter::finish() {
  if (!section_) return;
  show(styles_ && section_ == text::SectionKind::kThinking ? kNormal : "");
  show("\n");
  section_.reset();
}

}  // namespace r1::cli
