#include "tasks/grade.h"

#include <gtest/gtest.h>

namespace r1::tasks {
namespace {

Problem seven() {  // 5x+7=42
  Problem problem;
  problem.task = "linear";
  problem.parameters = {0, 5, 7, 42, 0};
  return problem;
}

TEST(Grade, RewardsAccuracyAndFormatApart) {
  const RewardParts both = grade(seven(), " <think> 5x=35 </think> <answer> 7 </answer>");
  EXPECT_TRUE(both.correct && both.well_formed);
  EXPECT_EQ(both.accuracy, 1.0);
  EXPECT_EQ(both.format, 1.0);

  const RewardParts wrong = grade(seven(), " <think> 5x=35 </think> <answer> 8 </answer>");
  EXPECT_FALSE(wrong.correct);
  EXPECT_TRUE(wrong.well_formed);

  const RewardParts bare = grade(seven(), " <answer> 7 </answer>");
  EXPECT_TRUE(bare.correct);
  EXPECT_FALSE(bare.well_formed);
  EXPECT_EQ(grade(seven(), "7").accuracy, 0.0);
}

TEST(Grade, FormatIsOneThinkBlockThenOneAnswerBlock) {
  for (const auto* completion : {
           "",
           " <think></think> <answer> 7 </answer>",
           " <think> \n </think> <answer> 7 </answer>",
           " <think> a </think> <answer>  </answer>",
           " <think> a </think> 7",
           " <think> a <answer> 7 </answer>",
           " x <think> a </think> <answer> 7 </answer>",
           " <think> a </think> so <answer> 7 </answer>",
           " <think> a </think> <answer> 7 </answer> done",
           " <think> a </think> <answer> 7 </answer> <answer> 7 </answer>",
           " <think> a <think> b </think> <answer> 7 </answer>",
           " <answer> 7 </answer> <think> a </think>",
           " <think> a <answer> 7 </answer> </think>",
           " <think> a </think> <answer> 7",
       }) {
    EXPECT_FALSE(is_well_formed(completion)) << completion;
  }
  EXPECT_TRUE(is_well_formed("<think>a</think><answer>7</answer>\n"));
}

TEST(Grade, TheLastAnswerCountsAlone) {
  EXPECT_FALSE(grade(seven(), "<answer> 7 </answer> <answer> 8 </answer>").correct);
  EXPECT_FALSE(grade(seven(), "<answer> 7 </answer> <answer> 8").correct);
  EXPECT_TRUE(grade(seven(), "<answer> 8 </answer> <answer> 7 </answer>").correct);
  EXPECT_FALSE(grade(seven(), "<answer> 6, 7, 8 </answer>").correct);
  EXPECT_FALSE(grade(seven(), "<answer> 6 or 7 </answer>").correct);
  EXPECT_FALSE(grade(seven(), "<answer> <answer> 8 </answer> 7 </answer>").correct);
  EXPECT_FALSE(grade(seven(), "</answer> 7 <answer>").correct);
  EXPECT_FALSE(
      grade(seven(), std::string(kMaxCompletionBytes, ' ') + "<answer>7</answer>").correct);
}

TEST(Grade, ThinkingPartIsFoundWithOrWithoutTags) {
  EXPECT_EQ(thinking_part(" <think> a </think> <answer> 7 </answer>"), " a ");
  EXPECT_EQ(thinking_part("<think>a<answer>7"), "a");
  EXPECT_EQ(thinking_part("no tags"), "no tags");
}

TEST(Grade, LanguageConsistencyCountsWords) {
  EXPECT_EQ(language_consistency("Suppose A knight", Language::kEnglish), 1.0);
  EXPECT_EQ(language_consistency("Suppose A knight", Language::kChinese), 0.0);
  EXPECT_EQ(language_consistency("假设", Language::kChinese), 1.0);
  EXPECT_EQ(language_consistency("假设 or not", Language::kEnglish), 0.5);
  EXPECT_EQ(language_consistency("5x=35", Language::kEnglish), 1.0);
  EXPECT_EQ(language_consistency("\xE5", Language::kEnglish), 1.0);
}

}  // namespace
}  // namespace r1::tasks
