#pragma once

#include <optional>
#include <string_view>

#include "text/thinking_parser.h"

namespace r1::cli {

// Prints an answer while it grows: with styles the thinking is dimmed and the answer in normal
// type; without, a heading stands before each. Completions without parts are printed as they are.
class AnswerPrinter {
 public:
  AnswerPrinter(bool styles, text::CompletionForm form)
      : styles_(styles), headings_(!styles && form != text::CompletionForm::kPlain) {}
  ~AnswerPrinter() { finish(); }
  AnswerPrinter(const AnswerPrinter&) = delete;
  AnswerPrinter& operator=(const AnswerPrinter&) = delete;

  void print(const text::SectionEvent& event);
  // Ends the line and the style; also done at the end of its life.
  void finish();

 private:
  bool styles_, headings_;
  std::optional<text::SectionKind> section_;
};

}  // namespace r1::cli
