#include "text/reasoning_stream.h"

#include <iterator>
#include <utility>

namespace r1::text {
namespace {

// The ids of a form's tags, if the vocabulary has all of them as tokens of their own.
std::unordered_map<std::int32_t, std::string> find_tags(const Tokenizer& tokenizer,
                                                        CompletionForm form) {
  std::unordered_map<std::int32_t, std::string> ids;
  for (const std::string_view tag : ThinkingParser::tags_of(form)) {
    const auto id = tokenizer.id_of(tag);
    if (!id || tokenizer.added_token(*id) == nullptr) return {};
    ids.emplace(*id, tag);
  }
  return ids;
}

CompletionForm form_of(const ReasoningStreamOptions& options) {
  return options.show_tags ? CompletionForm::kPlain : options.form;
}

}  // namespace

ReasoningStream::ReasoningStream(Tokenizer tokenizer, ReasoningStreamOptions options)
    : tokenizer_(std::move(tokenizer)),
      decoder_(tokenizer_),
      stops_(std::move(options.stops)),
      tags_(find_tags(tokenizer_, form_of(options))),
      parser_(form_of(options), options.starts_in,
              tags_.empty() ? ThinkingParser::Tags::kInText : ThinkingParser::Tags::kSeparate) {
  if (options.continues) parser_.continue_section();
}

ReasoningStream::Step ReasoningStream::push(std::int32_t id) {
  Step step;
  step.section = parser_.section();
  if (const auto tag = tags_.find(id); tag != tags_.end()) {
    step.pieces = parser_.push(decoder_.flush());
    const std::vector<SectionEvent> shown = parser_.push_tag(tag->second);
    step.tag = shown.empty();
    step.pieces.insert(step.pieces.end(), shown.begin(), shown.end());
    if (parser_.section() == SectionKind::kThinking) step.section = SectionKind::kThinking;
  } else {
    step.tag = tokenizer_.is_control(id);
    step.pieces = parser_.push(decoder_.push(id));
    if (tags_.empty() && step.section != parser_.section()) {
      step.tag = true;  // its text completed a tag
      if (parser_.section() == SectionKind::kThinking) step.section = SectionKind::kThinking;
    }
  }
  step.pieces = before_stop(std::move(step.pieces));
  return step;
}

std::vector<SectionEvent> ReasoningStream::finish() {
  std::vector<SectionEvent> events = before_stop(parser_.finish(decoder_.flush()));
  if (std::string held = stops_.finish(); !held.empty()) {
    if (events.empty() || events.back().kind == SectionKind::kThinking) {
      events.push_back({SectionKind::kAnswer, {}});
    }
    events.back().text += held;
  }
  return events;
}

std::vector<SectionEvent> ReasoningStream::before_stop(std::vector<SectionEvent> events) {
  std::vector<SectionEvent> kept;
  for (SectionEvent& event : events) {
    if (stops_.stopped()) break;
    if (event.kind != SectionKind::kThinking) event.text = stops_.push(event.text);
    if (!event.text.empty()) kept.push_back(std::move(event));
  }
  return kept;
}

}  // namespace r1::text
