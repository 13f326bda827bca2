#include "serve/accounts/money.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"

namespace r1::serve {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

TEST(Money, ReadsAndWritesDecimalsExactly) {
  EXPECT_EQ(Money::parse("0.55", "").picos(), 550'000'000'000);
  EXPECT_EQ(Money::parse("12", "").picos(), 12 * Money::kPicosPerUnit);
  EXPECT_EQ(Money::parse("-3.000000000001", "").picos(), -3'000'000'000'001);
  for (const char* text :
       {"0.00", "0.10", "-0.10", "12.34", "0.000042", "9223372.036854775807", "-1.000000000001"}) {
    EXPECT_EQ(Money::parse(text, "").exact(), text);
  }
  EXPECT_EQ(Money::parse("7", "").exact(), "7.00");
  EXPECT_EQ(Money::from_picos(kMin).exact(), "-9223372.036854775808");
}

TEST(Money, CentsRoundTowardsLess) {
  EXPECT_EQ(Money::parse("12.349999", "").cents(), "12.34");
  EXPECT_EQ(Money::parse("0.009", "").cents(), "0.00");
  EXPECT_EQ(Money::parse("-0.001", "").cents(), "-0.01");
  EXPECT_EQ(Money::parse("-0.01", "").cents(), "-0.01");
  EXPECT_EQ(Money().cents(), "0.00");
  EXPECT_EQ(Money::from_picos(kMax).cents(), "9223372.03");
}

TEST(Money, RefusesWhatIsNoAmount) {
  for (const char* text : {"", "-", ".", "1.", ".5", "1e3", "+1", " 1", "1 ", "0x1", "1,5", "--1",
                           "nan", "1.0.0", "0.1234567890123", "9223373", "99999999999999999999"}) {
    EXPECT_THROW(Money::parse(text, "prices"), Error) << text;
  }
}

TEST(Money, ArithmeticThatOverflowsThrows) {
  const Money most = Money::from_picos(kMax), least = Money::from_picos(kMin);
  EXPECT_THROW(most + Money::from_picos(1), Error);
  EXPECT_THROW(least - Money::from_picos(1), Error);
  EXPECT_THROW(most * 2, Error);
  EXPECT_EQ((most - most).picos(), 0);
  EXPECT_EQ((Money::parse("0.000001", "") * 1'000'000).exact(), "1.00");
}

}  // namespace
}  // namespace r1::serve
