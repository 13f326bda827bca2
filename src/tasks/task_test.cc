#include "tasks/task.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/error.h"
#include "tasks/grade.h"

namespace r1::tasks {
namespace {

using testing::HasSubstr;

TEST(Tasks, RegistryFindsByNameAndSuggests) {
  for (const auto& task : all_tasks()) EXPECT_EQ(&find_task(task->name()), task.get());
  try {
    find_task("countdwon");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("did you mean 'countdown'"));
  }
  EXPECT_THROW(find_task(std::string(100000, 'x')), Error);
}

TEST(Tasks, StreamsAreDeterministicAndIndexed) {
  for (const auto& task : all_tasks()) {
    std::set<std::uint64_t> ids;
    for (std::uint64_t i = 0; i < 50; ++i) {
      const Problem a = task->generate(Split::kTrain, 7, i);
      const Problem b = task->generate(Split::kTrain, 7, i);
      EXPECT_EQ(a.question, b.question);
      EXPECT_EQ(a.gold, b.gold);
      EXPECT_EQ(a.id, b.id);
      ids.insert(a.id);
    }
    EXPECT_GT(ids.size(), 30u) << task->name();
    EXPECT_NE(task->generate(Split::kTrain, 7, std::uint64_t{1} << 32).question,
              task->generate(Split::kTrain, 7, 0).question);
  }
}

TEST(Tasks, OptionsAreObeyedAndLanguageLeavesTheProblemAlone) {
  for (const auto& task : all_tasks()) {
    for (int difficulty = kMinDifficulty; difficulty <= kMaxDifficulty; ++difficulty) {
      const Problem en = task->generate(Split::kTrain, 3, 5, {difficulty, Language::kEnglish});
      const Problem zh = task->generate(Split::kTrain, 3, 5, {difficulty, Language::kChinese});
      EXPECT_EQ(en.difficulty, difficulty);
      EXPECT_EQ(en.id, zh.id) << task->name();
      EXPECT_EQ(zh.language, Language::kChinese);
    }
  }
}

TEST(Tasks, SplitsAreDisjointAndHeldOutIsLargeEnough) {
  for (const auto& task : all_tasks()) {
    std::set<Parameters> held_out, train;
    std::set<std::uint64_t> held_out_ids;
    for (std::uint64_t i = 0; i < 20000; ++i) {
      const Problem h = task->generate(Split::kHeldOut, 1, i);
      ASSERT_TRUE(task->is_held_out(h.parameters));
      held_out.insert(task->split_key(h.parameters));
      held_out_ids.insert(h.id);
      const Problem t = task->generate(Split::kTrain, 2, i);
      train.insert(task->split_key(t.parameters));
      for (const auto& inner : task->contained_problems(t.parameters)) {
        train.insert(task->split_key(inner));
      }
    }
    for (const Parameters& key : held_out) ASSERT_FALSE(train.contains(key)) << task->name();
    fmt::print("{:<11} {} distinct held-out problems, {} up to symmetry\n", task->name(),
               held_out_ids.size(), held_out.size());
    EXPECT_GE(held_out_ids.size(), 500u) << task->name();
    // Up to four people allow no more puzzles of knights; each comes in several namings.
    EXPECT_GE(held_out.size(), task->name() == "knights" ? 200u : 500u) << task->name();
  }
}

// All pieces of a text that look like expressions with at least two operators.
std::set<std::string> expressions_in(std::string_view text) {
  std::set<std::string> found;
  std::string piece;
  for (const char c : std::string(text) + ";") {
    if (c == ' ') continue;
    if (std::string_view("0123456789+-*()").find(c) != std::string_view::npos) {
      piece += c;
      continue;
    }
    const auto operators = std::count_if(piece.begin(), piece.end(),
                                         [](char d) { return d == '+' || d == '-' || d == '*'; });
    if (operators >= 2) found.insert(piece);
    piece.clear();
  }
  return found;
}

TEST(Tasks, NoHeldOutExpressionStandsInATrainingText) {
  const Task& task = find_task("arithmetic");
  std::set<std::string> held_out;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    held_out.merge(expressions_in(task.generate(Split::kHeldOut, 1, i).question));
  }
  EXPECT_GT(held_out.size(), 10000u);
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const Problem problem = task.generate(Split::kTrain, 1, i);
    Rng rng(2, 0, static_cast<std::uint32_t>(i));
    const Solution solution = task.solve(problem, Style::kCareful, rng);
    for (const auto& text : {problem.question, solution.thinking}) {
      for (const auto& expression : expressions_in(text)) {
        ASSERT_FALSE(held_out.contains(expression)) << problem.question << solution.thinking;
      }
    }
  }
}

TEST(Tasks, GoldIsRightAndNearMissesMostlyWrong) {
  for (const auto& task : all_tasks()) {
    int guessed_right = 0;
    for (std::uint64_t i = 0; i < 1000; ++i) {
      const Problem problem = task->generate(Split::kHeldOut, 11, i);
      ASSERT_TRUE(task->verify(problem, problem.gold).correct) << problem.question;
      Rng rng(4, 0, static_cast<std::uint32_t>(i));
      const Solution guess = task->solve(problem, Style::kGuess, rng);
      guessed_right += task->verify(problem, guess.answer).correct;
    }
    EXPECT_LT(guessed_right, 250) << task->name();
  }
}

// What a byte-pair encoding with single digits and whole words makes of a text, roughly: letters
// and Chinese characters in runs; a space is free before a word, not before a digit or a tag.
std::size_t rough_tokens(std::string_view text) {
  const auto is_letter = [&](std::size_t i) {
    const char c = text[i];
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  const auto is_han = [&](std::size_t i) {
    const auto c = static_cast<unsigned char>(text[i]);
    return c >= 0xE4 && c <= 0xE9;
  };
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < text.size(); ++tokens) {
    if (text[i] == ' ' && i + 1 < text.size() && is_letter(i + 1)) ++i;
    if (is_letter(i)) {
      while (i < text.size() && is_letter(i)) ++i;
    } else if (is_han(i)) {
      while (i < text.size() && is_han(i)) i += 3;
    } else if (text[i] == '<' && (text[i + 1] == '/' || is_letter(i + 1))) {
      i = text.find('>', i) + 1;
    } else {
      i += static_cast<unsigned char>(text[i]) >= 0x80 ? 3 : 1;
    }
  }
  return tokens;
}

TEST(WorkedSolutions, CarefulOnesAreRightAndShortOnesSlipInBand) {
  constexpr int kCount = 2000;
  for (const auto& task : all_tasks()) {
    for (const Style style : kAllStyles) {
      int right = 0;
      std::size_t total = 0, longest = 0;
      for (int i = 0; i < kCount; ++i) {
        const Problem problem = task->generate(Split::kTrain, 5, static_cast<std::uint64_t>(i));
        Rng rng(9, static_cast<std::uint32_t>(style), static_cast<std::uint32_t>(i));
        const std::string completion = task->worked_solution(problem, style, rng);
        const RewardParts parts = grade(problem, completion);
        right += parts.correct;
        if (style != Style::kGuess && style != Style::kShortSteps) {
          ASSERT_TRUE(parts.correct) << problem.question << completion << parts.reason;
          ASSERT_TRUE(parts.well_formed) << completion;
        }
        const std::size_t tokens = rough_tokens(completion);
        total += tokens;
        longest = std::max(longest, tokens);
      }
      fmt::print("{:<11} {:<14} right {:.3f}  tokens: mean {:.0f}, most {}\n", task->name(),
                 style_name(style), right / double(kCount), double(total) / kCount, longest);
      EXPECT_LE(longest, 240u) << task->name() << ' ' << style_name(style);
      if (style == Style::kShortSteps) {
        EXPECT_GE(right, kCount * 55 / 100) << task->name();
        EXPECT_LE(right, kCount * 75 / 100) << task->name();
      }
      if (style == Style::kGuess) {
        EXPECT_LE(right, kCount * 25 / 100) << task->name();
      }
    }
  }
}

TEST(WorkedSolutions, SomeNoticeAnErrorOnTheWay) {
  const Task& task = find_task("arithmetic");
  int noticed = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const Problem problem = task.generate(Split::kTrain, 5, i, {0, Language::kEnglish});
    Rng rng(9, 0, static_cast<std::uint32_t>(i));
    const Solution solution = task.solve(problem, Style::kCarefulCheck, rng);
    noticed += solution.thinking.find("Wait") != std::string::npos;
    EXPECT_TRUE(task.verify(problem, solution.answer).correct);
  }
  EXPECT_GT(noticed, 20);
  EXPECT_LT(noticed, 90);
}

}  // namespace
}  // namespace r1::tasks
