#include "serve/answer.h"

#include <algorithm>

namespace r1::serve {
namespace {

constexpr std::int64_t kCacheBlock = 64;

}  // namespace

Answer::Answer(const PreparedRequest& request, std::size_t first_choice)
    : model_(request.model),
      prompt_(request.prompt),
      first_choice_(first_choice),
      scores_prompt_(request.score_prompt),
      choices_(request.samples.size()) {}

void Answer::add(const AnswerItem& item) {
  if (const auto* failed = std::get_if<AnswerFailed>(&item)) throw failed->error;
  if (const auto* started = std::get_if<AnswerStarted>(&item)) {
    started_ = *started;
    has_started_ = true;
    return;
  }
  if (const auto* scored = std::get_if<PromptScored>(&item)) {
    scored_prompt_ = scored->tokens;
    has_scored_ = true;
    return;
  }
  const auto& progress = std::get<AnswerProgress>(item);
  AnswerChoice& choice = choices_[progress.sample];
  if (progress.token) {
    choice.tokens.push_back(*progress.token);
    choice.reasoning_tokens += progress.token->section == text::SectionKind::kThinking;
  }
  for (const text::SectionEvent& piece : progress.pieces) {
    (piece.kind == text::SectionKind::kThinking ? choice.reasoning : choice.content) += piece.text;
  }
  if (progress.ending) {
    choice.ended = true;
    choice.ending = *progress.ending;
  }
  seconds_ = progress.seconds;
}

bool Answer::complete() const {
  return has_started_ && (!scores_prompt_ || has_scored_) &&
         std::ranges::all_of(choices_, &AnswerChoice::ended);
}

Usage Answer::usage() const {
  Usage usage;
  usage.cache_hit_tokens = started_.cached_tokens / kCacheBlock * kCacheBlock;
  usage.cache_miss_tokens = std::ssize(prompt_) - usage.cache_hit_tokens;
  for (const AnswerChoice& choice : choices_) {
    usage.completion_tokens += std::ssize(choice.tokens);
    usage.reasoning_tokens += choice.reasoning_tokens;
  }
  return usage;
}

Usage sum(const std::vector<Answer>& answers) {
  Usage total;
  for (const Answer& answer : answers) {
    const Usage usage = answer.usage();
    total.cache_hit_tokens += usage.cache_hit_tokens;
    total.cache_miss_tokens += usage.cache_miss_tokens;
    total.completion_tokens += usage.completion_tokens;
    total.reasoning_tokens += usage.reasoning_tokens;
  }
  return total;
}

}  // namespace r1::serve
