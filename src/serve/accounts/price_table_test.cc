#include "serve/accounts/price_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace r1::serve {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPrices = R"(currency: USD
models:
  deepseek-reasoner:
    cache_hit: 0.14
    cache_miss: 0.55
    output: 2.19
  "*": {cache_hit: 0.000001, cache_miss: 1, output: 10000}
)";

TEST(PriceTable, ChargesEveryTokenExactly) {
  const PriceTable table = PriceTable::parse(kPrices, "prices.yaml");
  EXPECT_EQ(table.currency(), "USD");
  const Price* price = table.find("deepseek-reasoner");
  ASSERT_NE(price, nullptr);
  EXPECT_EQ(price->of({.cache_hit_tokens = 1'000'000}).exact(), "0.14");
  // 64 x 0.14 + 7 x 0.55 + 1001 x 2.19 = 8.96 + 3.85 + 2192.19, per million.
  const Usage usage = {.cache_hit_tokens = 64,
                       .cache_miss_tokens = 7,
                       .completion_tokens = 1001,
                       .reasoning_tokens = 900};
  EXPECT_EQ(price->of(usage).exact(), "0.002205");
  EXPECT_EQ(price->of({.completion_tokens = 1}).exact(), "0.00000219");
  EXPECT_EQ(price->worst_case(71, 1001).exact(), "0.00223124");
  const Price* other = table.find("another");
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(other->cache_hit.picos(), 1);
  // The dearest request that there may be stays in range.
  EXPECT_EQ(other->worst_case(0, kMaxRequestTokens).exact(), "1000000.00");
}

TEST(PriceTable, OnlyWithoutAnyPriceEverythingIsFree) {
  EXPECT_EQ(PriceTable().find("x")->of({.completion_tokens = 5}), Money());
  const char* one = "currency: CNY\nmodels:\n  a: {cache_hit: 1, cache_miss: 4, output: 16}\n";
  EXPECT_EQ(PriceTable::parse(one, "p").find("b"), nullptr);
}

TEST(PriceTable, NamesTheLineThatIsNoPrice) {
  const auto refusal = [](const std::string& text) {
    try {
      PriceTable::parse(text, "p.yaml");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("nothing was refused");
  };
  const auto with_output = [&](const std::string& price) {
    return refusal(
        "currency: USD\nmodels:\n  m:\n    cache_hit: 1\n    cache_miss: 1\n    output: " + price +
        "\n");
  };
  for (const char* price : {"1e3", "-1", "0.0000001", "10000.000001", "abc", "[1]", "~", "1_000"}) {
    EXPECT_THAT(with_output(price), HasSubstr("p.yaml:6")) << price;
    EXPECT_THAT(with_output(price), HasSubstr("output of m")) << price;
  }
  EXPECT_THAT(refusal("currency: USD\nmodels:\n  m: {cache_hit: 1, cache_mis: 1, output: 1}\n"),
              HasSubstr("p.yaml:3: unknown key 'cache_mis' of m"));
  EXPECT_THAT(refusal("currency: USD\nmodels:\n  m: {cache_hit: 1, output: 1}\n"),
              HasSubstr("p.yaml:3: m has no cache_miss"));
  EXPECT_THAT(refusal("models:\n  m: {cache_hit: 1, cache_miss: 1, output: 1}\n"),
              HasSubstr("there is no currency"));
  EXPECT_THAT(refusal("currency: dollars\nmodels: {}\n"), HasSubstr("p.yaml:1: currency is"));
  EXPECT_THAT(refusal("currency: USD\nmodels: {}\n"), HasSubstr("there are no models"));
  EXPECT_THAT(refusal("currency: USD\nmodels: 3\n"), HasSubstr("p.yaml:2: models must be"));
  EXPECT_THAT(refusal("curency: USD\n"), HasSubstr("p.yaml:1: unknown key 'curency'"));
  EXPECT_THAT(refusal(""), HasSubstr("a price table must be a mapping"));
}

}  // namespace
}  // namespace r1::serve
