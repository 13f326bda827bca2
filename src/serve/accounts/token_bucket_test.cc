#include "serve/accounts/token_bucket.h"

#include <gtest/gtest.h>

namespace r1::serve {
namespace {

using namespace std::chrono_literals;

constexpr TokenBucket::Time kStart{};

TEST(TokenBucket, IsFullAtFirstAndGainsEvenly) {
  TokenBucket bucket(60, kStart);
  EXPECT_EQ(bucket.available(), 60);
  bucket.take(60);
  EXPECT_EQ(bucket.available(), 0);
  EXPECT_EQ(bucket.time_until(1), 1s);
  EXPECT_EQ(bucket.time_until(60), 60s);
  bucket.refill(60, kStart + 999'999us);
  EXPECT_EQ(bucket.available(), 0);
  EXPECT_EQ(bucket.time_until(1), 1us);
  bucket.refill(60, kStart + 1s);
  EXPECT_EQ(bucket.available(), 1);
  bucket.refill(60, kStart + 24h);
  EXPECT_EQ(bucket.available(), 60);
}

TEST(TokenBucket, ManySmallRefillsAreOneLargeRefill) {
  TokenBucket often(7, kStart), once(7, kStart);
  often.take(7);
  once.take(7);
  for (int i = 1; i <= 5000; ++i) often.refill(7, kStart + i * 3333us + i * 1ns);
  once.refill(7, kStart + 5000 * 3333us + 5000ns);
  EXPECT_EQ(often.time_until(7), once.time_until(7));
}

TEST(TokenBucket, GivesBackNoMoreThanFits) {
  TokenBucket bucket(10, kStart);
  bucket.take(4);
  bucket.give_back(3);
  EXPECT_EQ(bucket.available(), 9);
  bucket.give_back(1'000'000'000'000);
  EXPECT_EQ(bucket.available(), 10);
}

TEST(TokenBucket, ACallerCanChangeTheLimit) {
  TokenBucket bucket(100, kStart);
  bucket.refill(10, kStart);
  EXPECT_EQ(bucket.available(), 10);
  bucket.refill(1000, kStart);
  EXPECT_EQ(bucket.available(), 10);
  bucket.refill(1000, kStart + 30s);
  EXPECT_EQ(bucket.available(), 510);
}

TEST(TokenBucket, TellsItsStateAndHoldsTheLargestLimit) {
  TokenBucket bucket(TokenBucket::kMaxLimit, kStart);
  bucket.take(TokenBucket::kMaxLimit);
  bucket.refill(TokenBucket::kMaxLimit, kStart + 24h);
  EXPECT_EQ(bucket.available(), TokenBucket::kMaxLimit);
  bucket.take(TokenBucket::kMaxLimit / 2);
  EXPECT_EQ(bucket.state().remaining, TokenBucket::kMaxLimit / 2);
  EXPECT_EQ(bucket.state().until_full, 30s);
}

}  // namespace
}  // namespace r1::serve
