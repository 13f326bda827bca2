#include "tasks/grade.h"

#include <algorithm>
#include <optional>

namespace r1::tasks {
namespace {

constexpr std::string_view kThink = "<think>", kThinkEnd = "</think>";
constexpr std::string_view kAnswer = "<answer>", kAnswerEnd = "</answer>";

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

bool occurs_once(std::string_view text, std::string_view tag) {
  const auto at = text.find(tag);
  return at != std::string_view::npos && text.find(tag, at + 1) == std::string_view::npos;
}

}  // namespace

std::optional<std::string_view> last_answer(std::string_view completion) {
  const auto open = completion.rfind(kAnswer);
  if (open == std::string_view::npos) return std::nullopt;
  const std::string_view rest = completion.substr(open + kAnswer.size());
  const auto close = rest.find(kAnswerEnd);
  if (close == std::string_view::npos) return std::nullopt;
  return rest.substr(0, close);
}

bool is_well_formed(std::string_view completion) {
  for (const auto tag : {kThink, kThinkEnd, kAnswer, kAnswerEnd}) {
    if (!occurs_once(completion, tag)) return false;
  }
  const auto think = completion.find(kThink), think_end = completion.find(kThinkEnd);
  const auto answer = completion.find(kAnswer), answer_end = completion.find(kAnswerEnd);
  if (!(think < think_end && think_end < answer && answer < answer_end)) return false;
  const auto between = [&](std::size_t begin, std::size_t end) {
    return completion.substr(begin, end - begin);
  };
  return is_blank(between(0, think)) && !is_blank(between(think + kThink.size(), think_end)) &&
         is_blank(between(think_end + kThinkEnd.size(), answer)) &&
         !is_blank(between(answer + kAnswer.size(), answer_end)) &&
         is_blank(completion.substr(answer_end + kAnswerEnd.size()));
}

std::string_view thinking_part(std::string_view completion) {
  const auto open = completion.find(kThink);
  if (open != std::string_view::npos) completion.remove_prefix(open + kThink.size());
  return completion.substr(0, std::min(completion.find(kThinkEnd), completion.find(kAnswer)));
}

RewardParts grade(const Problem& problem, std::string_view completion) {
  RewardParts parts;
  if (completion.size() > kMaxCompletionBytes) {
    parts.reason = "the completion is too long";
    return parts;
  }
  if (const auto answer = last_answer(completion)) {
    const Verdict verdict = find_task(problem.task).verify(problem, *answer);
    parts.accuracy = verdict.reward;
    parts.correct = verdict.correct;
    parts.reason = verdict.reason;
  } else {
    parts.reason = "no <answer> block";
  }
  parts.well_formed = is_well_formed(completion);
  parts.format = parts.well_formed ? 1.0 : 0.0;
  if (!parts.well_formed) parts.reason += "; not one think block and one answer block";
  return parts;
}

double language_consistency(std::string_view thinking, Language language) {
  std::size_t english = 0, chinese = 0;
  for (std::size_t i = 0; i < thinking.size();) {
    const auto byte = static_cast<unsigned char>(thinking[i]);
    const auto letter = [&](std::size_t k) {
      const char c = thinking[k];
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    if (letter(i)) {
      const std::size_t begin = i;
      while (i < thinking.size() && letter(i)) ++i;
      if (i - begin > 1) ++english;
    } else if (byte >= 0xE4 && byte <= 0xE9 && i + 2 < thinking.size()) {
      ++chinese;  // U+4000..U+9FFF in three bytes
      i += 3;
    } else {
      ++i;
    }
  }
  if (english + chinese == 0) return 1.0;
  const std::size_t own = language == Language::kEnglish ? english : chinese;
  return static_cast<double>(own) / static_cast<double>(english + chinese);
}

}  // namespace r1::tasks
