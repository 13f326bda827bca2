#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "serve/accounts/usage.h"
#include "serve/prepare.h"
#include "serve/service/answer_queue.h"

namespace r1::serve {

// One completion as far as it came.
struct AnswerChoice {
  std::string reasoning, content;
  std::vector<AnswerToken> tokens;
  std::int64_t reasoning_tokens = 0;
  bool ended = false;
  AnswerEnding ending;
};

// What became of one prepared request: collects its items.
class Answer {
 public:
  // first_choice: the index of its first completion among all of the HTTP request.
  Answer(const PreparedRequest& request, std::size_t first_choice);

  // Throws the ApiError of a request that failed.
  void add(const AnswerItem& item);
  // Everything has come.
  bool complete() const;

  const CatalogEntry& model() const { return *model_; }
  const std::vector<std::int32_t>& prompt() const { return prompt_; }
  const std::vector<AnswerToken>& scored_prompt() const { return scored_prompt_; }
  const std::vector<AnswerChoice>& choices() const { return choices_; }
  std::size_t first_choice() const { return first_choice_; }
  const AnswerStarted& started() const { return started_; }
  bool has_started() const { return has_started_; }
  double seconds() const { return seconds_; }  // from the submission to the last token

  // Hits are whole blocks of 64 tokens, as DeepSeek's API counts and prices them.
  Usage usage() const;

 private:
  const CatalogEntry* model_;
  std::vector<std::int32_t> prompt_;
  std::size_t first_choice_;
  bool scores_prompt_, has_scored_ = false, has_started_ = false;
  AnswerStarted started_;
  std::vector<AnswerToken> scored_prompt_;
  std::vector<AnswerChoice> choices_;
  double seconds_ = 0.0;
};

Usage sum(const std::vector<Answer>& answers);

}  // namespace r1::serve
