#include "serve/accounts/quotas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/accounts/accounts_test_file.h"

namespace r1::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using namespace std::chrono_literals;
using Reason = Refusal::Reason;

class QuotasTest : public ::testing::Test {
 protected:
  // The reason of the refusal; nothing if the request may begin.
  std::optional<Reason> take(const Quotas::Demand& demand = {}) {
    refusal_ = quotas_.take(key_, demand);
    if (!refusal_) return std::nullopt;
    return refusal_->reason;
  }
  void finish(const Quotas::Demand& demand, std::int64_t used) {
    quotas_.end(key_.id, demand, used);
    quotas_.charged(key_.id, demand);
  }

  testing::FakeTime time_;
  Quotas quotas_{time_.clock()};
  Key key_ = [] {
    Key key;
    key.id = "sk-r1-aaaaaaaa";
    return key;
  }();
  std::optional<Refusal> refusal_;
};

TEST_F(QuotasTest, WithoutLimitsEverythingBegins) {
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(take({100'000, Money()}), std::nullopt);
  EXPECT_TRUE(quotas_.rate_limits(key_).headers().empty());
}

TEST_F(QuotasTest, RequestsPerMinute) {
  key_.limits.requests_per_minute = 2;
  EXPECT_EQ(take(), std::nullopt);
  EXPECT_EQ(take(), std::nullopt);
  EXPECT_EQ(take(), Reason::requests_per_minute);
  EXPECT_EQ(refusal_->status, 429);
  EXPECT_EQ(refusal_->retry_after, 30);
  EXPECT_THAT(refusal_->rate_limits.headers(),
              ElementsAre(Pair("x-ratelimit-limit-requests", "2"),
                          Pair("x-ratelimit-remaining-requests", "0"),
                          Pair("x-ratelimit-reset-requests", "1m0s")));
  time_.advance(29'500ms);
  EXPECT_EQ(take(), Reason::requests_per_minute);
  EXPECT_EQ(refusal_->retry_after, 1);
  time_.advance(500ms);
  EXPECT_EQ(take(), std::nullopt);
  // Another key has a bucket of its own.
  key_.id = "sk-r1-bbbbbbbb";
  EXPECT_EQ(take(), std::nullopt);
}

TEST_F(QuotasTest, TokensPerMinuteGiveBackWhatWasNotUsed) {
  key_.limits.tokens_per_minute = 600;
  EXPECT_EQ(take({601, {}}), Reason::tokens_per_minute);
  EXPECT_EQ(refusal_->retry_after, std::nullopt);  // no waiting helps
  EXPECT_EQ(take({500, {}}), std::nullopt);
  EXPECT_EQ(take({200, {}}), Reason::tokens_per_minute);
  EXPECT_EQ(refusal_->retry_after, 10);
  EXPECT_THAT(refusal_->message, HasSubstr("200 asked for, 100 left"));
  finish({500, {}}, 50);
  EXPECT_EQ(take({550, {}}), std::nullopt);
  EXPECT_EQ(take({1, {}}), Reason::tokens_per_minute);
  time_.advance(12'345ms);
  EXPECT_THAT(quotas_.rate_limits(key_).headers(),
              ElementsAre(Pair("x-ratelimit-limit-tokens", "600"),
                          Pair("x-ratelimit-remaining-tokens", "123"),
                          Pair("x-ratelimit-reset-tokens", "47.655s")));
}

TEST_F(QuotasTest, ConcurrentRequests) {
  key_.limits.concurrent = 2;
  EXPECT_EQ(take(), std::nullopt);
  EXPECT_EQ(take(), std::nullopt);
  EXPECT_EQ(take(), Reason::concurrency);
  EXPECT_EQ(refusal_->retry_after, 1);
  quotas_.end(key_.id, {}, 0);
  EXPECT_EQ(take(), std::nullopt);
}

TEST_F(QuotasTest, DailyTokensBeginAnewAtMidnightUtc) {
  key_.limits.daily_tokens = 1000;
  quotas_.add_used_today(key_.id, 100);
  EXPECT_EQ(take({600, {}}), std::nullopt);
  EXPECT_EQ(take({301, {}}), Reason::daily_tokens);
  EXPECT_EQ(refusal_->retry_after, 14 * 3600);  // it is ten o'clock
  finish({600, {}}, 200);
  EXPECT_EQ(take({700, {}}), std::nullopt);
  EXPECT_EQ(take({1, {}}), Reason::daily_tokens);
  EXPECT_EQ(take({1001, {}}), Reason::daily_tokens);
  EXPECT_EQ(refusal_->retry_after, std::nullopt);
  // A request that runs over midnight counts for the day of its end.
  time_.advance(14h);
  EXPECT_EQ(take({301, {}}), Reason::daily_tokens);
  finish({700, {}}, 700);
  EXPECT_EQ(take({300, {}}), std::nullopt);
}

TEST_F(QuotasTest, BalanceHoldsBackTheWorstCase) {
  key_.balance = KeyBalance{Money::parse("1", ""), Money::parse("2", "")};
  const Quotas::Demand two = {10, Money::parse("2", "")};
  EXPECT_EQ(take(two), std::nullopt);
  EXPECT_EQ(take(two), Reason::balance);
  EXPECT_EQ(refusal_->status, 402);
  EXPECT_THAT(refusal_->message, HasSubstr("may cost 2.00, 1.00 is left"));
  // It ended and cost 0.5: only when that has left the balance, the rest is free.
  quotas_.end(key_.id, two, 5);
  EXPECT_EQ(take(two), Reason::balance);
  key_.balance->granted = Money::parse("0.5", "");
  quotas_.charged(key_.id, two);
  EXPECT_EQ(take(two), std::nullopt);
  key_.balance = KeyBalance{};
  EXPECT_EQ(take(two), Reason::balance);
  EXPECT_EQ(take({10, Money()}), std::nullopt);  // what is free needs no balance
}

TEST_F(QuotasTest, ARefusalTakesNothing) {
  key_.limits = {.requests_per_minute = 1, .tokens_per_minute = 100, .concurrent = 1};
  key_.balance = KeyBalance{{}, Money::parse("1", "")};
  EXPECT_EQ(take({101, {}}), Reason::tokens_per_minute);
  EXPECT_EQ(take({1, Money::parse("1.01", "")}), Reason::balance);
  EXPECT_EQ(take({100, Money::parse("1", "")}), std::nullopt);
}

TEST_F(QuotasTest, AnOperatorsChangeHoldsAtOnce) {
  EXPECT_EQ(take({500, {}}), std::nullopt);
  key_.limits = {.requests_per_minute = 1, .tokens_per_minute = 100, .concurrent = 2};
  EXPECT_EQ(take({100, {}}), std::nullopt);
  EXPECT_EQ(take({1, {}}), Reason::tokens_per_minute);
  key_.limits = {};
  EXPECT_EQ(take({1, {}}), std::nullopt);
  finish({500, {}}, 400);  // admitted before there were buckets
}

}  // namespace
}  // namespace r1::serve
