#include "serve/accounts/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <future>

#include "base/error.h"
#include "serve/accounts/accounts_file.h"
#include "serve/accounts/accounts_test_file.h"
#include "serve/accounts/key_store.h"
#include "serve/accounts/usage_report.h"

namespace r1::serve {
namespace {

using ::testing::HasSubstr;

class LedgerTest : public ::testing::Test {
 protected:
  LedgerRequest request(const std::string& id, const std::string& key = "") {
    return {id, key, "nano", time_.clock().wall(), Money::parse("1", "")};
  }
  std::future<Money> close(Ledger& ledger, const LedgerRequest& request, const char* charge,
                           RequestState state = RequestState::finished) {
    const auto promise = std::make_shared<std::promise<Money>>();
    ledger.close(request, state, {3, 4, 10, 6}, Money::parse(charge, ""),
                 [promise](Money charged, std::exception_ptr failure) {
                   if (failure) {
                     promise->set_exception(failure);
                   } else {
                     promise->set_value(charged);
                   }
                 });
    return promise->get_future();
  }
  UsageReport report() { return report_usage(file_, {}); }

  testing::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "accounts.db";
  testing::FakeTime time_;
};

TEST_F(LedgerTest, AClosedRequestIsInTheFileBeforeItsCallback) {
  Ledger ledger(file_, "USD", time_.clock());
  ledger.open(request("r1"));
  EXPECT_EQ(close(ledger, request("r1"), "0.25").get().exact(), "0.25");
  const UsageReport usage = report();
  EXPECT_EQ(usage.total.finished, 1);
  EXPECT_EQ(usage.total.usage.cache_hit_tokens, 3);
  EXPECT_EQ(usage.total.usage.cache_miss_tokens, 4);
  EXPECT_EQ(usage.total.usage.completion_tokens, 10);
  EXPECT_EQ(usage.total.usage.reasoning_tokens, 6);
  EXPECT_EQ(usage.total.charge.exact(), "0.25");
  EXPECT_EQ(usage.currency, "USD");
}

TEST_F(LedgerTest, ARequestIsChargedOnceHoweverOftenItIsClosed) {
  KeyStore keys(file_);
  const std::string key =
      keys.add({.name = "a", .balance = KeyBalance{{}, Money::parse("1", "")}}).key.id;
  Ledger ledger(file_, "USD", time_.clock());
  ledger.open(request("r1", key));
  auto first = close(ledger, request("r1", key), "0.25");
  auto second = close(ledger, request("r1", key), "0.75", RequestState::cancelled);
  EXPECT_EQ(first.get().exact(), "0.25");
  EXPECT_EQ(second.get().exact(), "0.25");
  EXPECT_EQ(close(ledger, request("r1", key), "0.5").get().exact(), "0.25");
  ledger.open(request("r1", key));
  EXPECT_EQ(close(ledger, request("r2", key), "0.125").get().exact(), "0.125");  // never opened
  EXPECT_EQ(keys.find("a").balance->total().exact(), "0.625");
  EXPECT_EQ(report().total.requests(), 2);
  EXPECT_EQ(report().open, 0);
}

TEST_F(LedgerTest, GrantedMoneyIsSpentFirst) {
  KeyStore keys(file_);
  const std::string key =
      keys.add({.name = "a", .balance = KeyBalance{Money::parse("1", ""), Money::parse("2", "")}})
          .key.id;
  Ledger ledger(file_, "USD", time_.clock());
  const auto balance_after = [&](const char* id, const char* charge) {
    close(ledger, request(id, key), charge).get();
    const KeyBalance balance = *keys.find("a").balance;
    return balance.granted.exact() + " " + balance.topped_up.exact();
  };
  EXPECT_EQ(balance_after("r1", "0.4"), "0.60 2.00");
  EXPECT_EQ(balance_after("r2", "0.7"), "0.00 1.90");
  EXPECT_EQ(balance_after("r3", "1"), "0.00 0.90");
  EXPECT_EQ(balance_after("r4", "1"), "0.00 -0.10");
  keys.change("a", {.grant = Money::parse("0.5", "")});
  EXPECT_EQ(balance_after("r5", "0.1"), "0.40 -0.10");
}

TEST_F(LedgerTest, WhatAnEarlierServerLeftOpenIsInterruptedAndFree) {
  {
    Ledger ledger(file_, "USD", time_.clock());
    ledger.open(request("lost"));
    close(ledger, request("done"), "0.25").get();
  }
  EXPECT_EQ(report().open, 1);
  Ledger ledger(file_, "USD", time_.clock());
  EXPECT_EQ(ledger.interrupted(), 1);
  EXPECT_EQ(ledger.used_today().at(""), 17);
  const UsageReport usage = report();
  EXPECT_EQ(usage.open, 0);
  EXPECT_EQ(usage.total.interrupted, 1);
  EXPECT_EQ(usage.total.finished, 1);
  EXPECT_EQ(usage.total.charge.exact(), "0.25");
  // It stays that way.
  EXPECT_EQ(close(ledger, request("lost"), "0.5").get().exact(), "0.00");
}

TEST_F(LedgerTest, OneServerAndOneCurrencyPerFile) {
  const auto refusal = [&](const char* currency) {
    try {
      Ledger ledger(file_, currency);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("nothing was refused");
  };
  {
    Ledger ledger(file_, "USD");
    EXPECT_THAT(refusal("USD"), HasSubstr("in use by another server"));
  }
  EXPECT_THAT(refusal("CNY"), HasSubstr("is in USD, the prices are in CNY"));
}

TEST_F(LedgerTest, ManyThreadsShareTransactions) {
  constexpr int kThreads = 4, kRequests = 250;
  std::atomic<int> closed = 0;
  {
    Ledger ledger(file_, "USD", time_.clock());
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRequests; ++i) {
          const LedgerRequest one = request(fmt::format("r-{}-{}", t, i));
          ledger.open(one);
          ledger.close(one, RequestState::finished, {0, 1, 1, 0}, Money::parse("0.001", ""),
                       [&](Money, std::exception_ptr failure) { closed += failure ? 0 : 1; });
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(closed, kThreads * kRequests);
  EXPECT_EQ(report().total.finished, kThreads * kRequests);
  EXPECT_EQ(report().total.charge.exact(), "1.00");
}

// A limit on the size of files stands for a full disk.
class FullDisk {
 public:
  FullDisk() : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none = {.rlim_cur = 0, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_F(LedgerTest, AFullDiskIsReportedAndOvercome) {
  Ledger ledger(file_, "USD", time_.clock());
  ledger.open(request("r1"));
  close(ledger, request("before"), "0.25").get();
  {
    const FullDisk full;
    auto failed = close(ledger, request("r1"), "0.5");
    EXPECT_THROW(failed.get(), Error);
    EXPECT_FALSE(ledger.writable());
    EXPECT_THROW(close(ledger, request("r2"), "0.5").get(), Error);
  }
  while (!ledger.writable()) std::this_thread::yield();
  EXPECT_EQ(close(ledger, request("r1"), "0.5").get().exact(), "0.50");
  EXPECT_EQ(report().total.finished, 2);
  EXPECT_EQ(report().total.charge.exact(), "0.75");
}

}  // namespace
}  // namespace r1::serve
