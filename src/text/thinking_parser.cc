#include "text/thinking_parser.h"

#include <algorithm>
#include <array>
#include <optional>

namespace r1::text {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";
constexpr std::string_view kThink = "<think>";
constexpr std::string_view kThinkEnd = "</think>";
constexpr std::string_view kAnswer = "<answer>";
constexpr std::string_view kAnswerEnd = "</answer>";

struct TagRule {
  CompletionForm form;
  SectionKind in;
  std::string_view tag;
  SectionKind to;
};

// The tags that mean something in each section.
constexpr std::array<TagRule, 7> kRules = {{
    {CompletionForm::kTagged, SectionKind::kOther, kThink, SectionKind::kThinking},
    {CompletionForm::kTagged, SectionKind::kOther, kAnswer, SectionKind::kAnswer},
    {CompletionForm::kTagged, SectionKind::kThinking, kThinkEnd, SectionKind::kOther},
    {CompletionForm::kTagged, SectionKind::kThinking, kAnswer, SectionKind::kAnswer},
    {CompletionForm::kTagged, SectionKind::kAnswer, kAnswerEnd, SectionKind::kOther},
    {CompletionForm::kChat, SectionKind::kAnswer, kThink, SectionKind::kThinking},
    {CompletionForm::kChat, SectionKind::kThinking, kThinkEnd, SectionKind::kAnswer},
}};

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhiteSpace) - first + 1);
}

std::size_t count(std::string_view text, std::string_view tag) {
  std::size_t n = 0;
  for (std::size_t at = text.find(tag); at != text.npos; at = text.find(tag, at + 1)) ++n;
  return n;
}

// Takes `prefix` off the front of `text`, if it is there.
bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Takes everything up to and with `tag`; nothing if there is no such tag.
std::optional<std::string_view> take_until(std::string_view& text, std::string_view tag) {
  const std::size_t at = text.find(tag);
  if (at == text.npos) return {};
  const std::string_view before = text.substr(0, at);
  text.remove_prefix(at + tag.size());
  return before;
}

bool is_well_formed(std::string_view text) {
  for (const std::string_view tag : {kThink, kThinkEnd, kAnswer, kAnswerEnd}) {
    if (count(text, tag) != 1) return false;
  }
  text = trim(text);
  if (!take(text, kThink) || !take_until(text, kThinkEnd)) return false;
  text = trim(text);
  return take(text, kAnswer) && take_until(text, kAnswerEnd) && text.empty();
}

}  // namespace

ThinkingParser::ThinkingParser(CompletionForm form, SectionKind starts_in, Tags tags)
    : form_(form),
      tags_(tags),
      outside_(form == CompletionForm::kChat ? SectionKind::kAnswer : SectionKind::kOther),
      kind_(starts_in == SectionKind::kOther ? outside_ : starts_in) {}

std::vector<SectionEvent> ThinkingParser::push(std::string_view piece) {
  std::vector<SectionEvent> events;
  if (form_ == CompletionForm::kPlain) {
    if (!piece.empty()) events.push_back({SectionKind::kOther, std::string(piece)});
    return events;
  }
  buffer_ += piece;
  read(false, events);
  return events;
}

std::vector<SectionEvent> ThinkingParser::push_tag(std::string_view tag) {
  std::vector<SectionEvent> events;
  const bool answering = form_ == CompletionForm::kChat && kind_ == SectionKind::kAnswer;
  for (const TagRule& rule : kRules) {
    if (rule.form != form_ || rule.in != kind_ || rule.tag != tag) continue;
    if (answering && section_begun_) continue;
    enter(rule.to);
    return events;
  }
  emit(tag, events);
  return events;
}

std::vector<std::string_view> ThinkingParser::tags_of(CompletionForm form) {
  std::vector<std::string_view> tags;
  for (const TagRule& rule : kRules) {
    if (rule.form == form && std::ranges::find(tags, rule.tag) == tags.end()) {
      tags.push_back(rule.tag);
    }
  }
  return tags;
}

std::vector<SectionEvent> ThinkingParser::finish(std::string_view last_piece) {
  if (form_ == CompletionForm::kPlain) return push(last_piece);
  std::vector<SectionEvent> events;
  buffer_ += last_piece;
  read(true, events);
  enter(outside_);
  return events;
}

void ThinkingParser::read(bool at_end, std::vector<SectionEvent>& events) {
  if (tags_ == Tags::kSeparate) {
    emit(buffer_, events);
    buffer_.clear();
    return;
  }
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const bool answering = form_ == CompletionForm::kChat && kind_ == SectionKind::kAnswer;
    const std::size_t bracket = rest.find('<');
    emit(rest.substr(0, bracket), events);
    if (bracket == rest.npos) {
      rest = {};
      break;
    }
    rest.remove_prefix(bracket);
    const TagRule* found = nullptr;
    bool may_become_tag = false;
    for (const TagRule& rule : kRules) {
      if (rule.form != form_ || rule.in != kind_ || (answering && section_begun_)) continue;
      if (rest.starts_with(rule.tag)) found = &rule;
      may_become_tag = may_become_tag || rule.tag.starts_with(rest);
    }
    if (found != nullptr) {
      enter(found->to);
      rest.remove_prefix(found->tag.size());
    } else if (may_become_tag && !at_end) {
      break;
    } else {
      emit(rest.substr(0, 1), events);
      rest.remove_prefix(1);
    }
  }
  buffer_.erase(0, buffer_.size() - rest.size());
}

void ThinkingParser::enter(SectionKind kind) {
  kind_ = kind;
  white_space_.clear();
  section_begun_ = false;
}

void ThinkingParser::emit(std::string_view text, std::vector<SectionEvent>& events) {
  const std::size_t last = text.find_last_not_of(kWhiteSpace);
  if (last == text.npos) {
    if (section_begun_) white_space_ += text;
    return;
  }
  if (!section_begun_) text.remove_prefix(text.find_first_not_of(kWhiteSpace));
  const std::string_view body = text.substr(0, text.find_last_not_of(kWhiteSpace) + 1);
  const bool joins = section_begun_ && !events.empty() && events.back().kind == kind_;
  if (!joins) events.push_back({kind_, {}});
  events.back().text += white_space_;
  events.back().text += body;
  white_space_ = text.substr(body.size());
  section_begun_ = true;
}

Completion split_completion(std::string_view text, CompletionForm form, SectionKind starts_in) {
  Completion completion;
  for (const SectionEvent& event : ThinkingParser(form, starts_in).finish(text)) {
    if (event.kind == SectionKind::kThinking) {
      if (completion.thinking.empty()) completion.thinking = event.text;
    } else if (event.kind == SectionKind::kAnswer || form == CompletionForm::kPlain) {
      completion.answer = event.text;
    }
  }
  completion.well_formed =
      form == CompletionForm::kTagged ? is_well_formed(text) : !completion.answer.empty();
  return completion;
}

}  // namespace r1::text
