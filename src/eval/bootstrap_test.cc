#include "eval/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace r1::eval {
namespace {

using Strata = std::vector<std::vector<double>>;

std::vector<double> coin_flips(double probability, int count, std::uint32_t sample) {
  Rng rng(11, 0, sample);
  std::vector<double> flips;
  for (int i = 0; i < count; ++i) flips.push_back(rng.chance(probability) ? 1.0 : 0.0);
  return flips;
}

TEST(Bootstrap, ValueIsTheMeanOfTheStrataMeans) {
  EXPECT_DOUBLE_EQ(bootstrap_mean(Strata{{1, 2, 3, 6}}).value, 3.0);
  // The larger stratum does not weigh more.
  EXPECT_DOUBLE_EQ(bootstrap_mean(Strata{{0, 0, 0, 0, 0, 0}, {1}}).value, 0.5);
}

TEST(Bootstrap, EqualValuesGiveAPoint) {
  const Interval interval = bootstrap_mean(Strata{std::vector<double>(50, 1.0)});
  EXPECT_EQ(interval.low, 1.0);
  EXPECT_EQ(interval.high, 1.0);
}

TEST(Bootstrap, TheSeedDecides) {
  const Strata strata = {coin_flips(0.3, 200, 0)};
  const Interval first = bootstrap_mean(strata), again = bootstrap_mean(strata);
  EXPECT_EQ(first.low, again.low);
  EXPECT_EQ(first.high, again.high);
  BootstrapOptions other;
  other.seed = 1;
  const Interval different = bootstrap_mean(strata, other);
  EXPECT_TRUE(different.low != first.low || different.high != first.high);
}

TEST(Bootstrap, WidthIsThatOfTheNormalApproximation) {
  const int count = 1000;
  const Interval interval = bootstrap_mean(Strata{coin_flips(0.5, count, 1)});
  const double deviation = std::sqrt(interval.value * (1.0 - interval.value) / count);
  EXPECT_NEAR(interval.high - interval.low, 2.0 * 1.96 * deviation, 0.15 * 4.0 * deviation);
  BootstrapOptions narrow;
  narrow.confidence = 0.5;
  const Interval half = bootstrap_mean(Strata{coin_flips(0.5, count, 1)}, narrow);
  EXPECT_LT(half.high - half.low, 0.5 * (interval.high - interval.low));
}

TEST(Bootstrap, StrataAreDrawnFromThemselves) {
  // Within each stratum nothing varies, so neither does the mean, though the values differ.
  const Interval interval = bootstrap_mean(Strata{{0, 0, 0}, {1, 1, 1}});
  EXPECT_EQ(interval.low, 0.5);
  EXPECT_EQ(interval.high, 0.5);
}

TEST(Bootstrap, CoversTheTruthAboutAsOftenAsPromised) {
  constexpr double kTruth = 0.7;
  int covered = 0;
  constexpr std::uint32_t kRuns = 200;
  for (std::uint32_t run = 0; run < kRuns; ++run) {
    BootstrapOptions options;
    options.resamples = 1000;
    const Interval interval = bootstrap_mean(Strata{coin_flips(kTruth, 100, 2 + run)}, options);
    covered += interval.low <= kTruth && kTruth <= interval.high ? 1 : 0;
  }
  EXPECT_GE(covered, 180);  // of 190 expected
  EXPECT_LT(covered, 200);
}

}  // namespace
}  // namespace r1::eval
