#include <gtest/gtest.h>

#include "tasks/answer_text.h"
#include "tasks/expression.h"
#include "tasks/task.h"

namespace r1::tasks {
namespace {

Problem problem_of(std::string_view task, Parameters parameters) {
  Problem problem;
  problem.task = task;
  problem.parameters = std::move(parameters);
  return problem;
}

bool accepts(const Problem& problem, std::string_view answer) {
  return find_task(problem.task).verify(problem, answer).correct;
}

TEST(Expression, EvaluatesExactly) {
  EXPECT_EQ(evaluate_expression("1/3+1/6")->value, (Rational{1, 2}));
  EXPECT_EQ(evaluate_expression("8/(3-8/3)")->value, (Rational{24, 1}));
  EXPECT_EQ(evaluate_expression(" 2 - 3 * 4 ")->value, (Rational{-10, 1}));
  EXPECT_EQ(evaluate_expression("10-3-2")->value, (Rational{5, 1}));
  EXPECT_EQ(evaluate_expression("7*(1+2)")->literals, (std::vector<std::int64_t>{7, 1, 2}));
}

TEST(Expression, RefusesEverythingElse) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, "()"sv, "1+"sv, "-1"sv, "1 2"sv, "1//2"sv, "1/0"sv, "1/(2-2)"sv, "(1"sv, "1)"sv,
        "2**3"sv, "1e3"sv, "3,4"sv, "1\0"sv, "\0"sv, "9999999999999999999999"sv, "x"sv}) {
    EXPECT_FALSE(evaluate_expression(text)) << text;
  }
  EXPECT_FALSE(evaluate_expression(std::string(200, '(') + "1" + std::string(200, ')')));
  EXPECT_FALSE(evaluate_expression("999999*999999*999999*999999*999999"));
}

TEST(Answers, FullWidthFormsAndWhiteSpaceAreFolded) {
  EXPECT_EQ(normalized_answer("  ４２。\n"), "42");
  EXPECT_EQ(normalized_answer("（１＋２）×３＝９"), "(1+2)*3=9");
  EXPECT_FALSE(normalized_answer(" \n"));
  EXPECT_FALSE(normalized_answer("."));
  EXPECT_FALSE(normalized_answer(std::string(kMaxAnswerBytes + 1, '1')));
}

TEST(Answers, IntegersAndLists) {
  EXPECT_EQ(parse_integer("-12"), -12);
  EXPECT_FALSE(parse_integer("12a"));
  EXPECT_FALSE(parse_integer("1234567890123456789"));
  EXPECT_EQ(parse_integer_list("[3, 5,9]"), (std::vector<std::int64_t>{3, 5, 9}));
  EXPECT_EQ(parse_integer_list("3 5 9"), (std::vector<std::int64_t>{3, 5, 9}));
  for (const auto* text : {"", "[", "[3", "3,,5", ",3", "3,", "3;5", "(3]"}) {
    EXPECT_FALSE(parse_integer_list(text)) << text;
  }
}

TEST(Verify, LinearTakesTheVariable) {
  const Problem problem = problem_of("linear", {0, 5, 7, 42, 0});  // 5x+7=42
  for (const auto* answer : {"7", "x=7", "x = 7", "＝7", "７", "7."}) {
    EXPECT_TRUE(accepts(problem, answer)) << answer;
  }
  for (const auto* answer : {"8", "x", "x=", "y=7", "7 or 8", "6, 7", "x7", "7x", "77"}) {
    EXPECT_FALSE(accepts(problem, answer)) << answer;
  }
}

TEST(Verify, CountdownUsesEachNumberOnce) {
  const Problem problem = problem_of("countdown", {33, 3, 7, 12});
  for (const auto* answer : {"3*7+12", "(7*3)+12", "12 + 3 × 7", "3*7+12=33", "3*7+12 = 33."}) {
    EXPECT_TRUE(accepts(problem, answer)) << answer;
  }
  for (const auto* answer : {"33", "3*7+12=34", "3*7+12=33=33", "21+12", "3*7+12+0", "3*7+12-3+3",
                             "37-4", "3*712", "3*7+12 or 33", "12+3*7)", "3+7+12", "+3*7+12"}) {
    EXPECT_FALSE(accepts(problem, answer)) << answer;
  }
}

TEST(Verify, KnightsInAnyOrderAndLanguage) {
  // B: "A is a knave"; A: "B and I are the same". B is the knight.
  const Problem problem = problem_of("knights", {1, 0, 1, 1, 2, 0});
  for (const auto* answer :
       {"A knave, B knight", "B knight, A knave", "A骗子，B骑士", "B is a knight and A is a knave.",
        "A: knave; B: knight", "A是骗子，B是骑士。", "A=knave B=knight"}) {
    EXPECT_TRUE(accepts(problem, answer)) << answer;
  }
  for (const auto* answer :
       {"A knight, B knave", "B knight", "A knave, B knight, B knave", "A knave, B knight or knave",
        "A not knight, B knight", "A knave knight, B knight", "A B knave knight",
        "C knave, B knight", "knave knight", "A knave, B knight, A knave", "A不是骑士，B骑士"}) {
    EXPECT_FALSE(accepts(problem, answer)) << answer;
  }
}

TEST(Verify, ListsAndBases) {
  const Problem list = problem_of("list", {0, 9, 3, 14});
  for (const auto* answer : {"3,9,14", "3, 9, 14", "[3 9 14]", "3、9、14"}) {
    EXPECT_TRUE(accepts(list, answer)) << answer;
  }
  for (const auto* answer : {"9,3,14", "3,9", "3,9,14,14", "3914", "3<9<14"}) {
    EXPECT_FALSE(accepts(list, answer)) << answer;
  }
  const Problem base = problem_of("base", {13, 10, 2});
  EXPECT_TRUE(accepts(base, "1101"));
  EXPECT_TRUE(accepts(base, "０1101"));
  EXPECT_FALSE(accepts(base, "13"));
  EXPECT_FALSE(accepts(base, "11011"));
}

TEST(Verify, NeverThrowsOnGarbageAndNeverRewardsIt) {
  static constexpr std::string_view kPieces[] = {"1",      "9",
                                                 "0",      "(",
                                                 ")",      "+",
                                                 "-",      "*",
                                                 "/",      "=",
                                                 ",",      " ",
                                                 "x",      "A",
                                                 "knight", "knave",
                                                 "骑士",   "。",
                                                 "\n",     "\xEF\xBC",
                                                 "\xFF",   "<answer>",
                                                 ".",      "e",
                                                 "\\",     "-9223372036854775808"};
  for (const auto& task : all_tasks()) {
    int right = 0;
    for (std::uint32_t i = 0; i < 5000; ++i) {
      const Problem problem = task->generate(Split::kTrain, 1, i % 16);
      Rng rng(21, 0, i);
      std::string answer;
      for (std::uint32_t n = 2 + rng.below(40); n > 0; --n) {
        answer += rng.chance(0.8) ? std::string(kPieces[rng.below(std::size(kPieces))])
                                  : std::string(1, static_cast<char>(rng.below(256)));
      }
      EXPECT_NO_THROW(right += task->verify(problem, answer).correct);
    }
    // A short run of pieces may hit a small number now and then.
    EXPECT_LE(right, 10) << task->name();
    EXPECT_FALSE(
        task->verify(task->generate(Split::kTrain, 1, 0), std::string(1 << 20, '(')).correct);
  }
}

}  // namespace
}  // namespace r1::tasks
