#include "base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace r1 {
namespace {

using Counter = std::array<std::uint32_t, 4>;
using Key = std::array<std::uint32_t, 2>;

// Sum of (seen - expected)^2 / expected over equally likely buckets; about its degrees of freedom,
// buckets - 1, give or take sqrt(2 (buckets - 1)).
double chi_square(const std::vector<int>& seen) {
  double total = 0;
  for (int count : seen) total += count;
  const double expected = total / static_cast<double>(seen.size());
  double sum = 0;
  for (int count : seen) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

double chi_square_limit(std::size_t buckets) {
  const double degrees = static_cast<double>(buckets - 1);
  return degrees + 5 * std::sqrt(2 * degrees) + 5;
}

// The known answers published with Random123, the authors' library.
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(philox4x32(Counter{0, 0, 0, 0}, Key{0, 0}),
            (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32(Counter{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                       Key{0xffffffff, 0xffffffff}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32(Counter{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                       Key{0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, DrawsTheBlocksOfItsCoordinates) {
  Rng rng(0x0123456789abcdefull, 5, 6, 7);
  for (std::uint32_t block = 0; block < 3; ++block) {
    for (std::uint32_t word : philox4x32(Counter{block, 7, 6, 5}, Key{0x89abcdef, 0x01234567})) {
      EXPECT_EQ(rng.next_u32(), word);
    }
  }
}

TEST(Rng, EqualStreamsDrawEqually) {
  Rng a(9, 1, 2, 3), b(9, 1, 2, 3);
  a.next_u32();
  b.next_u32();
  Rng copy = a;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t draw = a.next_u64();
    EXPECT_EQ(draw, b.next_u64());
    EXPECT_EQ(draw, copy.next_u64());
  }
}

TEST(Rng, EveryCoordinateNamesItsOwnStream) {
  std::set<std::uint64_t> first_draws;
  for (std::uint64_t seed : {0ull, 1ull, 1ull << 32}) {
    for (std::uint32_t step : {0u, 1u, 0x80000000u}) {
      for (std::uint32_t sample : {0u, 1u, 0x80000000u}) {
        for (std::uint32_t position : {0u, 1u, 0x80000000u}) {
          first_draws.insert(Rng(seed, step, sample, position).next_u64());
        }
      }
    }
  }
  EXPECT_EQ(first_draws.size(), 81u);
}

// The first draws of neighbouring streams must look as random as the draws of one stream.
TEST(Rng, NeighbouringStreamsAreUncorrelated) {
  constexpr int kStreams = 20000;
  const auto correlation = [](auto stream) {
    double sum = 0;
    for (int i = 0; i < kStreams; ++i) {
      const auto index = static_cast<std::uint32_t>(i);
      Rng a = stream(index), b = stream(index + 1);
      sum += (a.uniform() - 0.5) * (b.uniform() - 0.5);
    }
    return 12 * sum / kStreams;
  };
  const double limit = 5 / std::sqrt(kStreams);
  EXPECT_LT(std::abs(correlation([](std::uint32_t i) { return Rng(i); })), limit);
  EXPECT_LT(std::abs(correlation([](std::uint32_t i) { return Rng(3, i); })), limit);
  EXPECT_LT(std::abs(correlation([](std::uint32_t i) { return Rng(3, 4, i); })), limit);
  EXPECT_LT(std::abs(correlation([](std::uint32_t i) { return Rng(3, 4, 5, i); })), limit);
}

TEST(Rng, UniformFillsTheUnitIntervalEvenly) {
  Rng rng(42);
  std::vector<int> buckets(64);
  for (int i = 0; i < 100000; ++i) {
    const float u = rng.uniform();
    ASSERT_GE(u, 0.0f);
    ASSERT_LT(u, 1.0f);
    ++buckets[static_cast<std::size_t>(u * 64)];
  }
  EXPECT_LT(chi_square(buckets), chi_square_limit(buckets.size()));
}

TEST(Rng, BelowIsUnbiased) {
  Rng rng(43);
  for (std::uint32_t bound : {2u, 3u, 7u, 100u}) {
    std::vector<int> buckets(bound);
    for (int i = 0; i < 50000; ++i) {
      const std::uint32_t draw = rng.below(bound);
      ASSERT_LT(draw, bound);
      ++buckets[draw];
    }
    EXPECT_LT(chi_square(buckets), chi_square_limit(bound)) << bound;
  }
  EXPECT_EQ(rng.below(1), 0u);
}

// Without rejection the thirds of 3 * 2^30 would be drawn in the proportion 2 : 1 : 1.
TEST(Rng, BelowIsUnbiasedForLargeBounds) {
  Rng rng(44);
  constexpr std::uint32_t kThird = 1u << 30;
  std::vector<int> thirds(3), remainders(3);
  for (int i = 0; i < 30000; ++i) {
    const std::uint32_t draw = rng.below(3 * kThird);
    ++thirds[draw / kThird];
    ++remainders[draw % 3];
  }
  EXPECT_LT(chi_square(thirds), chi_square_limit(3));
  EXPECT_LT(chi_square(remainders), chi_square_limit(3));
}

TEST(Rng, BetweenReachesBothEnds) {
  Rng rng(45);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(rng.between(-2, 3));
  EXPECT_EQ(seen, (std::set<std::int64_t>{-2, -1, 0, 1, 2, 3}));
  EXPECT_EQ(rng.between(5, 5), 5);
}

TEST(Rng, NormalHasTheMomentsOfTheNormalDistribution) {
  Rng rng(46);
  constexpr int kDraws = 200000;
  double moments[5] = {};
  int beyond_two = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = rng.normal();
    ASSERT_TRUE(std::isfinite(x));
    for (int power = 1; power <= 4; ++power) moments[power] += std::pow(x, power) / kDraws;
    beyond_two += std::abs(x) > 2;
  }
  // Five standard errors: the variance of x^k over the number of draws.
  const double unit = 5 / std::sqrt(kDraws);
  EXPECT_NEAR(moments[1], 0, unit);
  EXPECT_NEAR(moments[2], 1, std::sqrt(2.0) * unit);
  EXPECT_NEAR(moments[3], 0, std::sqrt(15.0) * unit);
  EXPECT_NEAR(moments[4], 3, std::sqrt(96.0) * unit);
  EXPECT_NEAR(static_cast<double>(beyond_two) / kDraws, 0.0455, 0.21 * unit);
}

TEST(Rng, ChanceHappensAsOftenAsItSays) {
  Rng rng(47);
  int happened = 0;
  for (int i = 0; i < 20000; ++i) happened += rng.chance(0.25);
  EXPECT_NEAR(happened / 20000.0, 0.25, 5 * std::sqrt(0.25 * 0.75 / 20000));
  EXPECT_FALSE(rng.chance(0.0));
  EXPECT_TRUE(rng.chance(1.0));
}

TEST(Rng, ShuffleReachesEveryOrderEquallyOften) {
  Rng rng(48);
  std::vector<int> seen(24);
  for (int i = 0; i < 24000; ++i) {
    std::vector<int> items{0, 1, 2, 3};
    rng.shuffle(items);
    std::vector<int> sorted = items;
    std::sort(sorted.begin(), sorted.end());
    ASSERT_EQ(sorted, (std::vector<int>{0, 1, 2, 3}));
    // Number of the order: how many later items are smaller, in factorial base.
    int number = 0;
    for (std::size_t a = 0; a < 4; ++a) {
      int smaller = 0;
      for (std::size_t b = a + 1; b < 4; ++b) smaller += items[b] < items[a];
      number = number * static_cast<int>(4 - a) + smaller;
    }
    ++seen[static_cast<std::size_t>(number)];
  }
  EXPECT_LT(chi_square(seen), chi_square_limit(seen.size()));
}

}  // namespace
}  // namespace r1
