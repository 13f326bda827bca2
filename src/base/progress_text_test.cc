#include "base/progress_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace r1 {
namespace {

using ::testing::ElementsAre;

TEST(ProgressText, WidthCountsColumnsNotBytes) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("思考"), 4u);
  EXPECT_EQ(display_width("e\xCC\x81"), 1u);         // e and a combining accent
  EXPECT_EQ(display_width("\xF0\x9F\x98\x80"), 2u);  // an emoji
  EXPECT_EQ(display_width("\xE6\x80"), 2u);          // a torn character: two odd bytes
  EXPECT_EQ(display_width("\x1b[2J"), 4u);
}

TEST(ProgressText, FitCutsWithAnEllipsis) {
  EXPECT_EQ(fit_to_width("abcdef", 6), "abcdef");
  EXPECT_EQ(fit_to_width("abcdefg", 6), "abcde…");
  EXPECT_EQ(fit_to_width("思考思考", 6), "思考…");
  EXPECT_EQ(fit_to_width("abc", 0), "");
  EXPECT_EQ(fit_to_width("a\x1b[31m\nb", 20),
            "a\xEF\xBF\xBD[31m\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(fit_to_width("\xC0\x80\xED\xA0\x80", 9).find('\xC0'), std::string::npos);
}

TEST(ProgressText, WrapBreaksAtSpacesAndNewlines) {
  EXPECT_THAT(wrap_to_width("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrap_to_width("one two three", 9), ElementsAre("one two", "three"));
  EXPECT_THAT(wrap_to_width("abcdefghij", 4), ElementsAre("abcd", "efgh", "ij"));
  EXPECT_THAT(wrap_to_width("a\n\nb", 9), ElementsAre("a", "", "b"));
  EXPECT_THAT(wrap_to_width("思考思考", 5), ElementsAre("思考", "思考"));
  EXPECT_THAT(wrap_to_width("", 5), ElementsAre(""));
}

TEST(ProgressText, WrappedLinesNeverExceedTheWidth) {
  const std::string text =
      "mixed 思考 text with looooooooooong words\tand tabs 再来一次 e\xCC\x81 \xFF end";
  for (std::size_t width = 2; width < 40; ++width) {
    for (const std::string& line : wrap_to_width(text, width)) {
      EXPECT_LE(display_width(line), width) << line;
    }
  }
}

}  // namespace
}  // namespace r1
