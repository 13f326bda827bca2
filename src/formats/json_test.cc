#include "formats/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace r1 {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string parse_message(std::string_view text, JsonLimits limits = {}) {
  return message_of([&] { parse_json(text, "config.json", limits); });
}

TEST(Json, BuildsTheDocument) {
  const std::string text =
      R"({"a": [1, -2, 3.5, true, null, "\u4f60\n", [], {}], "b": {"c": {"d": [[1], [2]]}}})";
  EXPECT_EQ(parse_json(text, "x"), json::parse(text));
  EXPECT_EQ(parse_json(" 7 ", "x"), json(7));
  EXPECT_EQ(parse_json("[[[[1]]],[{\"a\":[2]},3]]", "x").dump(), "[[[[1]]],[{\"a\":[2]},3]]");
}

TEST(Json, NamesLineAndColumn) {
  EXPECT_THAT(parse_message("{\n  \"a\": 1,\n  \"b\": x\n}"),
              testing::StartsWith("config.json: not valid JSON at line 3, column 8: "));
  EXPECT_THAT(parse_message("[1"), HasSubstr("line 1, column 3: "));
  EXPECT_THAT(parse_message(""), HasSubstr("line 1, column 1: "));
  EXPECT_THAT(parse_message("1 2"), HasSubstr("line 1, column 3"));
  EXPECT_THAT(parse_message("1e999"), HasSubstr("config.json: not valid JSON"));
  // What was read last may be no text at all, and is not repeated.
  EXPECT_THAT(parse_message("[\"\xFF\xFE\"]"), testing::Not(HasSubstr("\xFF")));
}

TEST(Json, HoldsItsLimits) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(parse_message(nested(64)), "no error");
  EXPECT_THAT(parse_message(nested(65)), HasSubstr("deeper than 64 levels"));
  EXPECT_THAT(parse_message(std::string(5'000'000, '[')), HasSubstr("deeper than 64"));
  EXPECT_THAT(parse_message("[1,2,3]", {.max_bytes = 6}), HasSubstr("7 bytes of JSON"));
  EXPECT_EQ(parse_message("[1,2,3]", {.max_values = 4}), "no error");
  EXPECT_THAT(parse_message("[1,2,3]", {.max_values = 3}), HasSubstr("more than 3 JSON values"));
}

TEST(Json, RefusesRepeatedKeys) {
  EXPECT_THAT(parse_message(R"({"a": {"b": 1}, "c": 2, "a": 3})"),
              HasSubstr("the key \"a\" occurs twice"));
  EXPECT_EQ(parse_message(R"([{"a": 1}, {"a": 1}])"), "no error");
}

TEST(Json, RequireConvertsAndChecks) {
  const json object = parse_json(
      R"({"n": 7, "minus": -1, "big": 18446744073709551615, "x": 2.5, "s": "text", "t": true,
          "list": [1, 2], "mixed": [1, "a"], "none": null})",
      "config.json");
  EXPECT_EQ(require<int>(object, "n", "w"), 7);
  EXPECT_EQ(require<double>(object, "n", "w"), 7.0);
  EXPECT_EQ(require<float>(object, "x", "w"), 2.5f);
  EXPECT_EQ(require<std::string>(object, "s", "w"), "text");
  EXPECT_TRUE(require<bool>(object, "t", "w"));
  EXPECT_EQ(require<std::uint64_t>(object, "big", "w"), 18446744073709551615u);
  EXPECT_EQ(require<std::vector<int>>(object, "list", "w"), (std::vector{1, 2}));

  EXPECT_EQ(message_of([&] { require<int>(object, "m", "config.json"); }),
            "config.json: \"m\" is missing");
  EXPECT_EQ(message_of([&] {
              require<std::int8_t>(json{{"n", 128}}, "n", "config.json");
            }),
            "config.json: \"n\" must be an integer from -128 to 127, found 128");
  EXPECT_THAT(message_of([&] { require<std::uint32_t>(object, "minus", "w"); }),
              HasSubstr("from 0 to 4294967295, found -1"));
  EXPECT_THAT(message_of([&] { require<std::uint64_t>(object, "minus", "w"); }),
              HasSubstr("of 0 or more, found -1"));
  EXPECT_THAT(message_of([&] { require<std::int64_t>(object, "big", "w"); }), HasSubstr("integer"));
  EXPECT_THAT(message_of([&] { require<int>(object, "x", "w"); }), HasSubstr("found 2.5"));
  EXPECT_THAT(message_of([&] { require<int>(object, "t", "w"); }), HasSubstr("found true"));
  EXPECT_THAT(message_of([&] { require<bool>(object, "n", "w"); }), HasSubstr("true or false"));
  EXPECT_THAT(message_of([&] {
                require<float>(json{{"x", 1e300}}, "x", "w");
              }),
              HasSubstr("a number of at most"));
  EXPECT_THAT(message_of([&] { require<std::vector<int>>(object, "mixed", "w"); }),
              HasSubstr("\"mixed[1]\" must be an integer"));
  EXPECT_THAT(message_of([&] { require<int>(json::array(), "n", "w"); }),
              HasSubstr("must be an object, found an array"));
}

TEST(Json, NullMeansAbsentForOptionalKeys) {
  const json object = parse_json(R"({"q_lora_rank": null, "n": 3})", "w");
  EXPECT_EQ(get_or<int>(object, "q_lora_rank", "w", 5), 5);
  EXPECT_EQ(get_or<int>(object, "absent", "w", 6), 6);
  EXPECT_EQ(get_or<int>(object, "n", "w", 6), 3);
  EXPECT_THROW(get_or<std::string>(object, "n", "w", "x"), Error);
}

TEST(Json, ExcerptsEndBetweenCharacters) {
  EXPECT_EQ(excerpt("short"), "short");
  std::string text = std::string(59, 'a') + "\u4f60" + std::string(1000, 'b');
  EXPECT_EQ(excerpt(text), std::string(59, 'a') + "...");
}

}  // namespace
}  // namespace r1
