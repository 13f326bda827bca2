#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "tasks/corpus.h"
#include "tasks/grade.h"
#include "tasks/task.h"

namespace r1::tasks {
namespace {

// What a digit-wise BPE with whole words makes of a text, roughly.
std::size_t count_tokens(std::string_view text) {
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (std::isalpha(c)) {
      while (i < text.size() && std::isalpha(static_cast<unsigned char>(text[i]))) ++i;
    } else if (c >= 0xE4 && c <= 0xE9) {
      while (i < text.size() && static_cast<unsigned char>(text[i]) >= 0x80 &&
             static_cast<unsigned char>(text[i]) != 0xEF &&
             static_cast<unsigned char>(text[i]) != 0xE3) {
        ++i;
      }
    } else if (c == '<' && i + 2 < text.size() &&
               (std::isalpha(static_cast<unsigned char>(text[i + 1])) || text[i + 1] == '/')) {
      i = text.find('>', i) + 1;
    } else if (c >= 0x80) {
      i += 3;
    } else {
      // A space belongs to the word or mark after it, but stands alone before a digit or a tag.
      if (c == ' ' && i + 1 < text.size() &&
          !std::isdigit(static_cast<unsigned char>(text[i + 1])) && text[i + 1] != '<') {
        ++i;
        continue;
      }
      ++i;
    }
    ++tokens;
  }
  return tokens;
}

TEST(Tasks, CarefulSolutionsAreRightAndSlipsAreInBand) {
  for (const auto& task : all_tasks()) {
    for (const Style style : kAllStyles) {
      int right = 0;
      std::size_t total = 0, longest = 0;
      constexpr int kCount = 2000;
      for (int i = 0; i < kCount; ++i) {
        const Problem problem = task->generate(Split::kTrain, 5, static_cast<std::uint64_t>(i));
        Rng rng(9, static_cast<std::uint32_t>(style), static_cast<std::uint32_t>(i));
        const std::string completion = task->worked_solution(problem, style, rng);
        const RewardParts parts = grade(problem, completion);
        right += parts.correct;
        if (style == Style::kCareful || style == Style::kCarefulCheck || style == Style::kMixed) {
          ASSERT_TRUE(parts.correct) << problem.question << completion << parts.reason;
          ASSERT_TRUE(parts.well_formed) << completion;
        }
        const std::size_t tokens = count_tokens(completion);
        total += tokens;
        longest = std::max(longest, tokens);
      }
      fmt::print("{:<11} {:<14} right {:.3f} tokens mean {:.1f} max {}\n", task->name(),
                 style_name(style), right / double(kCount), double(total) / kCount, longest);
    }
  }
}

}  // namespace
}  // namespace r1::tasks
