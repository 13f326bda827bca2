#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tasks/task.h"

// From a completion to its rewards (DeepSeek-R1, section 2.2.2: accuracy and format).
namespace r1::tasks {

struct RewardParts {
  double accuracy = 0;  // 1 if the last answer block is right
  double format = 0;    // 1 if the completion is well formed
  bool correct = false;
  bool well_formed = false;
  std::string reason;  // of the accuracy reward, and of the format reward where it is missed
};

// Longer completions are graded 0 without being read.
inline constexpr std::size_t kMaxCompletionBytes = 1 << 20;

// The text between the last <answer> and the </answer> that follows it; nothing without both.
std::optional<std::string_view> last_answer(std::string_view completion);

// Well formed: exactly <think>, some thinking that is not blank, </think>, <answer>, an answer,
// </answer>, each tag once, with nothing but white space around and between the two blocks.
bool is_well_formed(std::string_view completion);

// The text between the first <think> and </think> (or the end); the whole completion without tags.
std::string_view thinking_part(std::string_view completion);

RewardParts grade(const Problem& problem, std::string_view completion);

// Share of the words of the thinking that are in `language`, for logs: English words of two letters
// and more against Chinese characters. 1 where there are neither.
double language_consistency(std::string_view thinking, Language language);

}  // namespace r1::tasks
