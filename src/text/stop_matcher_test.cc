#include "text/stop_matcher.h"

#include <gtest/gtest.h>

#include <span>

#include "base/error.h"
#include "base/rng.h"

namespace r1::text {
namespace {

struct Result {
  std::string text;
  bool stopped;
  bool operator==(const Result&) const = default;
};

Result run(const std::vector<std::string>& stops, std::span<const std::string> pieces) {
  StopMatcher matcher(stops);
  std::string text;
  for (const std::string& piece : pieces) text += matcher.push(piece);
  text += matcher.finish();
  return {text, matcher.stopped()};
}

// What the class promises, in the plainest way: the first end of a stop string, the longest of
// those that end there.
Result defined(const std::vector<std::string>& stops, const std::string& text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops) {
      if (std::string_view(text).substr(0, end).ends_with(stop)) {
        longest = std::max(longest, stop.size());
      }
    }
    if (longest > 0) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

TEST(StopMatcher, WithoutStopStringsPassesAllTextAtOnce) {
  StopMatcher matcher;
  EXPECT_EQ(matcher.push("any </answer> text"), "any </answer> text");
  EXPECT_EQ(matcher.finish(), "");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcher, HoldsBackOnlyWhatMayBeginAStopString) {
  StopMatcher matcher({"</answer>"});
  EXPECT_EQ(matcher.push("42 </"), "42 ");
  EXPECT_EQ(matcher.push("think> a < b </ans"), "</think> a < b ");
  EXPECT_EQ(matcher.push("wer> more"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.push("later"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, GivesHeldBackTextAtTheEnd) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("the EN"), "the ");
  EXPECT_EQ(matcher.finish(), "EN");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcher, FindsAMatchThatOverlapsAFailedOne) {
  const std::string text = "aabaabaaab";
  EXPECT_EQ(run({"aabaaa"}, std::vector{text}), (Result{"aab", true}));
}

TEST(StopMatcher, TheFirstToBeCompleteEndsTheText) {
  EXPECT_EQ(run({"abcd", "bc"}, std::vector<std::string>{"xabcd"}), (Result{"xa", true}));
  EXPECT_EQ(run({"c", "abc"}, std::vector<std::string>{"xabcd"}), (Result{"x", true}));
}

TEST(StopMatcher, AnyCutOfAnyTextGivesTheDefinedResult) {
  Rng rng(7);
  int stopped = 0;
  for (int round = 0; round < 3000; ++round) {
    const auto letters = [&](std::uint32_t length) {
      std::string text;
      for (std::uint32_t i = 0; i < length; ++i) text += static_cast<char>('a' + rng.below(2));
      return text;
    };
    std::vector<std::string> stops;
    for (std::uint32_t i = rng.below(4); i > 0; --i) stops.push_back(letters(1 + rng.below(6)));
    const std::string text = letters(rng.below(30));
    std::vector<std::string> pieces(1);
    for (const char c : text) {
      if (rng.chance(0.5)) pieces.emplace_back();
      pieces.back() += c;
    }
    const Result wanted = defined(stops, text);
    ASSERT_EQ(run(stops, pieces), wanted) << text;
    stopped += wanted.stopped ? 1 : 0;
  }
  EXPECT_GT(stopped, 1000);
  EXPECT_LT(stopped, 2900);
}

TEST(StopMatcher, RefusesImpossibleStopStrings) {
  EXPECT_THROW(StopMatcher({""}), Error);
  EXPECT_THROW(StopMatcher({"a\xE4"}), Error);
  EXPECT_THROW(StopMatcher({std::string(kMaxStopBytes + 1, 'x')}), Error);
  EXPECT_THROW(StopMatcher(std::vector<std::string>(kMaxStopStrings + 1, "x")), Error);
  EXPECT_NO_THROW(StopMatcher({std::string(kMaxStopBytes, 'x')}));
}

}  // namespace
}  // namespace r1::text
