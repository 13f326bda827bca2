#include "serve/service/thinking_guide.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace r1::serve {
namespace {

constexpr std::int32_t kOpen = 3, kClose = 4, kAnswer = 5, kWait = 6;

ThinkingRules rules() {
  ThinkingRules rules;
  rules.open = kOpen;
  rules.close = kClose;
  rules.wind_down = {50, kClose, kAnswer};
  rules.go_on = kWait;
  return rules;
}

// What a completion becomes when the model would draw `wanted`.
std::vector<std::int32_t> guided(ThinkingRules rules, const std::vector<std::int32_t>& wanted) {
  ThinkingGuide guide(std::move(rules));
  std::vector<std::int32_t> tokens;
  for (const std::int32_t id : wanted) {
    const TokenGuide::Choice choice = guide.next();
    std::int32_t taken = choice.forced;
    if (taken == TokenGuide::kNone) taken = id == choice.avoided ? choice.instead : id;
    guide.take(taken);
    tokens.push_back(taken);
  }
  return tokens;
}

using Tokens = std::vector<std::int32_t>;

TEST(ThinkingGuide, LeavesShortThoughtsAlone) {
  ThinkingRules r = rules();
  r.budget = 5;
  const Tokens wanted = {9, kOpen, 10, 11, kClose, kAnswer, 20, 21, 22, 23, 24, 25};
  EXPECT_EQ(guided(r, wanted), wanted);
}

TEST(ThinkingGuide, WindsDownWhenTheBudgetIsUsedUp) {
  ThinkingRules r = rules();
  r.budget = 2;
  EXPECT_EQ(guided(r, {kOpen, 10, 11, 12, 13, 14, 15, 16}),
            (Tokens{kOpen, 10, 11, 50, kClose, kAnswer, 15, 16}));
  r.starts_open = true;
  EXPECT_EQ(guided(r, {10, 11, 12, 13, 14, 15, 16}), (Tokens{10, 11, 50, kClose, kAnswer, 15, 16}));
  r.budget = 0;
  EXPECT_EQ(guided(r, {10, 11, 12, 13}), (Tokens{50, kClose, kAnswer, 13}));
}

TEST(ThinkingGuide, AThoughtIsClosedOnce) {
  ThinkingRules r = rules();
  r.budget = 2;
  EXPECT_EQ(guided(r, {kOpen, 10, kClose, kOpen, 11, 12, 13}),
            (Tokens{kOpen, 10, kClose, kOpen, 11, 12, 13}));
}

TEST(ThinkingGuide, MakesShortThoughtsGoOn) {
  ThinkingRules r = rules();
  r.at_least = 3;
  EXPECT_EQ(guided(r, {kOpen, 10, kClose, 11, kClose, 12}),
            (Tokens{kOpen, 10, kWait, 11, kClose, 12}));
}

TEST(ThinkingGuide, EndsThoughtsThatGoRoundInCircles) {
  ThinkingRules r = rules();
  r.stop_cycles = true;
  Tokens wanted = {kOpen};
  for (int i = 0; i < 300; ++i) wanted.push_back(100 + i % 7);
  const Tokens tokens = guided(r, wanted);
  const auto closed = std::find(tokens.begin(), tokens.end(), kClose) - tokens.begin();
  EXPECT_GE(closed, 90);
  EXPECT_LE(closed, 110);
  r.stop_cycles = false;
  EXPECT_EQ(guided(r, wanted), wanted);
}

TEST(CycleDetector, FindsExactRepetitionAlone) {
  CycleDetector numbers;
  for (std::int32_t i = 0; i < 2000; ++i) EXPECT_FALSE(numbers.push(i * i % 1009)) << i;
  for (const std::int32_t period : {1, 2, 5, 16, 100, 128}) {
    CycleDetector detector;
    bool found = false;
    std::int32_t at = 0;
    while (!found && at < 4000) found = detector.push(at++ % period);
    const std::int32_t least = std::max<std::int32_t>(96, 6 * period);
    EXPECT_EQ(at, least) << period;
  }
  CycleDetector longer;  // than what is looked for
  for (std::int32_t i = 0; i < 4000; ++i) EXPECT_FALSE(longer.push(i % 129)) << i;
}

}  // namespace
}  // namespace r1::serve
