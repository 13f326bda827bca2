#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace r1::text {
namespace {

using Pieces = std::vector<std::string>;

Pieces split(const PreTokenizerSpec& spec, std::string_view text) {
  Pieces pieces;
  PreTokenizer(spec, "test").for_each_piece(text, [&](std::string_view piece) {
    pieces.emplace_back(piece);
  });
  return pieces;
}

PreTokenizerSpec one(SplitRule::Kind kind, std::string pattern, SplitBehavior behavior,
                     bool invert = false) {
  PreTokenizerSpec spec;
  spec.splits.push_back({kind, std::move(pattern), behavior, invert});
  return spec;
}

TEST(PreTokenizer, Behaviors) {
  const auto with = [](SplitBehavior behavior, bool invert = false) {
    return split(one(SplitRule::Kind::kLiteral, "-", behavior, invert), "the-final--countdown-");
  };
  EXPECT_EQ(with(SplitBehavior::kIsolated),
            (Pieces{"the", "-", "final", "-", "-", "countdown", "-"}));
  EXPECT_EQ(with(SplitBehavior::kRemoved), (Pieces{"the", "final", "countdown"}));
  EXPECT_EQ(with(SplitBehavior::kMergedWithPrevious),
            (Pieces{"the-", "final-", "-", "countdown-"}));
  EXPECT_EQ(with(SplitBehavior::kMergedWithNext),
            (Pieces{"the", "-final", "-", "-countdown", "-"}));
  EXPECT_EQ(with(SplitBehavior::kContiguous),
            (Pieces{"the", "-", "final", "--", "countdown", "-"}));
  EXPECT_EQ(with(SplitBehavior::kRemoved, true), (Pieces{"-", "-", "-", "-"}));
}

TEST(PreTokenizer, Digits) {
  EXPECT_EQ(split(one(SplitRule::Kind::kDigits, "", SplitBehavior::kContiguous), "a123b²"),
            (Pieces{"a", "123", "b", "²"}));
  EXPECT_EQ(split(one(SplitRule::Kind::kDigits, "", SplitBehavior::kIsolated), "a12"),
            (Pieces{"a", "1", "2"}));
}

TEST(PreTokenizer, ByteLevelOptions) {
  PreTokenizerSpec spec;
  spec.gpt2_split = true;
  EXPECT_EQ(split(spec, "It's  12 x!"), (Pieces{"It", "'s", " ", " 12", " x", "!"}));
  spec.add_prefix_space = true;
  EXPECT_EQ(split(spec, "ab c"), (Pieces{" ab", " c"}));
}

TEST(PreTokenizer, Nano) {
  const PreTokenizerSpec nano = nano_pre_tokenizer();
  EXPECT_EQ(split(nano, "What is 123+45?\n\n"),
            (Pieces{"What", " is", " ", "123", "+", "45", "?\n\n"}));
  EXPECT_EQ(split(nano, "计算12加3。ok"), (Pieces{"计算", "12", "加", "3", "。", "ok"}));
  EXPECT_EQ(split(nano, "a  b\n  c"), (Pieces{"a", " ", " b", "\n", " ", " c"}));
  EXPECT_EQ(split(nano, "(x)/y"), (Pieces{"(x", ")/", "y"}));
}

TEST(PreTokenizer, InvalidBytesArePiecesOfTheirOwn) {
  EXPECT_EQ(split(nano_pre_tokenizer(), "ab\xFF\xFE cd\xE4"),
            (Pieces{"ab", "\xFF\xFE", " cd", "\xE4"}));
}

TEST(PreTokenizer, EmptyMatchesSplitBetweenCharacters) {
  EXPECT_EQ(split(one(SplitRule::Kind::kRegex, "x*", SplitBehavior::kIsolated), "éxxa"),
            (Pieces{"é", "xx", "a"}));
}

TEST(PreTokenizer, WhiteSpaceIsUnicodes) {
  // U+180E is white space to PCRE2's own \s, not to Unicode.
  EXPECT_EQ(
      split(one(SplitRule::Kind::kRegex, R"(\s+)", SplitBehavior::kRemoved), "a\u180Eb\u3000c"),
      (Pieces{"a\u180Eb", "c"}));
  EXPECT_EQ(
      split(one(SplitRule::Kind::kRegex, R"([^\s\w]+)", SplitBehavior::kRemoved), "a_é \u0301!"),
      (Pieces{"a_é \u0301"}));
}

TEST(PreTokenizer, RefusesWhatMeansSomethingElseHere) {
  for (const char* pattern : {"",         "(",       "a**",         R"(\h)",    R"(\v)",
                              R"((a)\1)", "[a[b]]",  "[[:alpha:]]", "a(?i)b|c", "[a&&b]",
                              "(*UTF)a",  "a{2}+",   "a{,2}",       "(?<n>a)",  R"(\p{Nonsense})",
                              R"(\pL)",   R"(\xE9)", "[",           "a\\",      "[\\b]",
                              "\xFF"}) {
    EXPECT_THROW(split(one(SplitRule::Kind::kRegex, pattern, SplitBehavior::kIsolated), "a"), Error)
        << pattern;
  }
}

TEST(PreTokenizer, IgnoresCaseWhereAsked) {
  for (const char* pattern : {"(?i:ab)", "(?i)ab|x"}) {
    EXPECT_EQ(split(one(SplitRule::Kind::kRegex, pattern, SplitBehavior::kIsolated), "cABd"),
              (Pieces{"c", "AB", "d"}));
  }
}

TEST(PreTokenizer, EndlessBacktrackingIsAnError) {
  const auto spec = one(SplitRule::Kind::kRegex, "(?:a|aa)+[bc]", SplitBehavior::kIsolated);
  EXPECT_THROW(split(spec, std::string(60, 'a')), Error);
}

}  // namespace
}  // namespace r1::text
