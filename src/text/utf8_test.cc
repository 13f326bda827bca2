#include "text/utf8.h"

#include <gtest/gtest.h>

#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace r1::text {
namespace {

using namespace std::string_view_literals;

TEST(Utf8, EveryCodePointReadsBack) {
  for (std::uint32_t c = 0; c <= 0x10FFFF; ++c) {
    std::string text;
    append_utf8(c, text);
    const Utf8Step step = next_utf8(text);
    if (c >= 0xD800 && c <= 0xDFFF) {
      EXPECT_EQ(step.kind, Utf8Kind::kInvalid) << c;
      continue;
    }
    ASSERT_EQ(step.kind, Utf8Kind::kValid) << c;
    ASSERT_EQ(step.code_point, c);
    ASSERT_EQ(step.length, text.size());
    ASSERT_EQ(last_code_point("x" + text), 1u);
    if (text.size() > 1) {
      text.pop_back();
      ASSERT_EQ(next_utf8(text).kind, Utf8Kind::kIncomplete) << c;
    }
  }
}

TEST(Utf8, InvalidStepsAreMaximalSubparts) {
  const auto invalid = [](std::string_view text) {
    const Utf8Step step = next_utf8(text);
    return step.kind == Utf8Kind::kInvalid ? step.length : 0;
  };
  EXPECT_EQ(invalid("\x80"), 1u);
  EXPECT_EQ(invalid("\xC0\xAF"), 1u);
  EXPECT_EQ(invalid("\xE0\x80\x80"), 1u);
  EXPECT_EQ(invalid("\xE4\xBD!"), 2u);
  EXPECT_EQ(invalid("\xF0\x9F\x99!"), 3u);
  EXPECT_EQ(invalid("\xF4\x90\x80\x80"), 1u);
  EXPECT_EQ(invalid("\xFF"), 1u);
}

TEST(Utf8, RunsCoverTheText) {
  std::vector<std::pair<std::string, bool>> runs;
  for_each_utf8_run("\xFF\x80 ab\xC3\xA9\xE4\xBD",
                    [&](std::string_view run, bool valid) { runs.emplace_back(run, valid); });
  const std::vector<std::pair<std::string, bool>> expected = {
      {"\xFF\x80", false}, {" ab\xC3\xA9", true}, {"\xE4\xBD", false}};
  EXPECT_EQ(runs, expected);
}

TEST(ByteAlphabet, SpellsEveryByteAndReadsItBack) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  EXPECT_EQ(from_byte_alphabet(to_byte_alphabet(bytes)), bytes);
  EXPECT_EQ(to_byte_alphabet(" a\n\x7F\xAD\xFF"), "ĠaĊġŃÿ");
  EXPECT_EQ(from_byte_alphabet("a b"), std::nullopt);  // a space is no letter of the alphabet
  EXPECT_EQ(from_byte_alphabet("<｜"), std::nullopt);
}

TEST(Unicode, NormalFormC) {
  EXPECT_EQ(to_nfc("e\u0301 \uAC00 \u1100\u1161"), "\u00E9 \uAC00 \uAC00");
  EXPECT_EQ(to_nfc("\xFF"
                   "e\u0301\xE4"),
            "\xFF\u00E9\xE4");
  EXPECT_EQ(to_nfc("a\0b"sv), "a\0b"sv);
}

}  // namespace
}  // namespace r1::text
