#include "tasks/voting.h"

#include <gtest/gtest.h>

#include <vector>

namespace r1::tasks {
namespace {

TEST(CanonicalAnswer, MakesAnswersThatSayTheSameEqual) {
  for (const char* answer : {"42", " 42 ", "042", "+42", "= 42", "x = 42", "X=42", "42.", "４２"}) {
    EXPECT_EQ(canonical_answer(answer), "42") << answer;
  }
  for (const char* answer : {"1, 2, 3", "[1,2,3]", "(1, 2, 3)", "1 2 3", "[1，2，3]"}) {
    EXPECT_EQ(canonical_answer(answer), "1,2,3") << answer;
  }
  EXPECT_EQ(canonical_answer("(3 + 4) * 2"), canonical_answer("(3+4)×2"));
  EXPECT_EQ(canonical_answer("Knight"), canonical_answer("knight"));
}

TEST(CanonicalAnswer, KeepsDifferentAnswersApart) {
  EXPECT_NE(canonical_answer("1 2"), canonical_answer("12"));
  EXPECT_NE(canonical_answer("-5"), canonical_answer("5"));
  EXPECT_NE(canonical_answer("1,2"), canonical_answer("2,1"));
  EXPECT_NE(canonical_answer("3 + 4 = 7"), canonical_answer("7"));
}

TEST(CanonicalAnswer, IsEmptyForWhatNoVerifierReads) {
  EXPECT_EQ(canonical_answer("  "), "");
  EXPECT_EQ(canonical_answer(std::string(100'000, '1')), "");
}

std::optional<std::size_t> vote(const std::vector<std::string>& answers) {
  return majority(answers);
}

TEST(Majority, TakesTheFirstOfTheLargestGroup) {
  EXPECT_EQ(vote({"a", "b", "c", "b"}), 1u);
  EXPECT_EQ(vote({"only"}), 0u);
}

TEST(Majority, GivesTiesToTheAnswerThatCameFirst) {
  EXPECT_EQ(vote({"b", "a", "a", "b"}), 0u);
  EXPECT_EQ(vote({"z", "a"}), 0u);
}

TEST(Majority, LetsEmptyAnswersNotVote) {
  EXPECT_EQ(vote({"", "", "", "7"}), 3u);
  EXPECT_EQ(vote({"", ""}), std::nullopt);
  EXPECT_EQ(vote({}), std::nullopt);
}

}  // namespace
}  // namespace r1::tasks
