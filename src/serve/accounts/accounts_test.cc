#include "serve/accounts/accounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/error.h"
#include "serve/accounts/accounts_test_file.h"
#include "serve/accounts/key_store.h"
#include "serve/accounts/usage_report.h"

namespace r1::serve {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;
using Reason = Refusal::Reason;

constexpr const char* kPrices =
    "currency: USD\nmodels:\n  nano: {cache_hit: 1, cache_miss: 10, output: 100}\n";

class AccountsTest : public ::testing::Test {
 protected:
  AccountsSettings settings() const {
    return {.file = file_, .require_keys = true, .prices = PriceTable::parse(kPrices, "p")};
  }
  AdmissionRequest request(std::int64_t prompt = 100, std::int64_t output = 1000) {
    return {fmt::format("request-{}", ++count_), "nano", prompt, output};
  }
  static std::optional<Reason> reason(const std::variant<Key, Refusal>& result) {
    const Refusal* refusal = std::get_if<Refusal>(&result);
    return refusal ? std::optional(refusal->reason) : std::nullopt;
  }
  static std::optional<Reason> reason(const std::variant<Admission, Refusal>& result) {
    const Refusal* refusal = std::get_if<Refusal>(&result);
    return refusal ? std::optional(refusal->reason) : std::nullopt;
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "accounts.db";
  testing::FakeTime time_;
  int count_ = 0;
};

TEST_F(AccountsTest, WithoutFileEverybodyMayDoEverything) {
  Accounts accounts;
  const Key key = std::get<Key>(accounts.authenticate(""));
  EXPECT_EQ(key.id, "");
  Admission admission = std::get<Admission>(accounts.admit(key, request()));
  EXPECT_EQ(accounts.settle(std::move(admission), {0, 100, 50, 0}).get().amount, Money());
  EXPECT_FALSE(accounts.balance(key));
  EXPECT_TRUE(accounts.ready());
  EXPECT_THROW(Accounts({.require_keys = true}), Error);
}

TEST_F(AccountsTest, WithoutKeysUsageIsRecordedAllTheSame) {
  AccountsSettings open = settings();
  open.require_keys = false;
  Accounts accounts(open, time_.clock());
  const Key key = std::get<Key>(accounts.authenticate("whatever a client sends"));
  Admission admission = std::get<Admission>(accounts.admit(key, request()));
  const Charge charge = accounts.settle(std::move(admission), {64, 36, 500, 400}).get();
  EXPECT_EQ(charge.amount.exact(), "0.050424");
  EXPECT_EQ(charge.currency, "USD");
  EXPECT_EQ(report_usage(file_, {}).total.charge, charge.amount);
}

TEST_F(AccountsTest, OnlyKeysInUseAreKnown) {
  KeyStore store(file_, time_.clock());
  Accounts accounts(settings(), time_.clock());
  const std::string key =
      store.add({.name = "a", .expires = testing::FakeTime::kStart + 1h}).text;  // after it began
  EXPECT_EQ(reason(accounts.authenticate(key)), std::nullopt);
  EXPECT_EQ(reason(accounts.authenticate("")), Reason::missing_key);
  const std::string other = store.add({.name = "b"}).text;
  for (const std::string& token :
       {std::string("sk-wrong"), key + " ", key.substr(0, 66), key.substr(0, 15) + other.substr(15),
        key.substr(0, 66) + (key[66] == 'a' ? "b" : "a")}) {
    EXPECT_EQ(reason(accounts.authenticate(token)), Reason::invalid_key) << token;
  }
  const auto told = [&] { return std::get<Refusal>(accounts.authenticate(key)); };
  store.change("a", {.disabled = true});
  EXPECT_THAT(told().message, HasSubstr("disabled"));
  EXPECT_EQ(told().status, 401);
  store.change("a", {.disabled = false});
  EXPECT_EQ(reason(accounts.authenticate(key)), std::nullopt);
  time_.advance(1h);
  EXPECT_THAT(told().message, HasSubstr("expired"));
  store.revoke("a");
  EXPECT_THAT(told().message, HasSubstr("revoked"));
}

TEST_F(AccountsTest, RefusesBeforeAnythingIsHeld) {
  const Key key =
      KeyStore(file_).add({.name = "a", .limits = {.concurrent = 1}, .models = {"nano", "r1"}}).key;
  Accounts accounts(settings(), time_.clock());
  AdmissionRequest other = request();
  other.model = "secret";
  EXPECT_EQ(reason(accounts.admit(key, other)), Reason::model_not_allowed);
  other.model = "r1";
  EXPECT_EQ(reason(accounts.admit(key, other)), Reason::no_price);
  EXPECT_EQ(reason(accounts.admit(key, request(-1, 1))), Reason::too_large);
  EXPECT_EQ(reason(accounts.admit(key, request(1, kMaxRequestTokens + 1))), Reason::too_large);
  EXPECT_EQ(reason(accounts.admit(key, request())), std::nullopt);
}

TEST_F(AccountsTest, ARequestIdIsAdmittedOnce) {
  Accounts accounts({.file = file_}, time_.clock());
  const Key key = std::get<Key>(accounts.authenticate(""));
  const AdmissionRequest same = request();
  Admission admission = std::get<Admission>(accounts.admit(key, same));
  EXPECT_EQ(reason(accounts.admit(key, same)), Reason::duplicate);
  accounts.settle(std::move(admission), {0, 1, 1, 0}).get();
  EXPECT_EQ(reason(accounts.admit(key, same)), Reason::duplicate);
  EXPECT_EQ(report_usage(file_, {}).total.requests(), 1);
}

TEST_F(AccountsTest, AnAdmissionThatIsDroppedGivesBackWhatItHeld) {
  const Key key = KeyStore(file_)
                      .add({.name = "a",
                            .limits = {.tokens_per_minute = 1100, .concurrent = 1},
                            .balance = KeyBalance{{}, Money::parse("0.11", "")}})
                      .key;
  {
    Accounts accounts(settings(), time_.clock());
    auto first = accounts.admit(key, request());
    ASSERT_EQ(reason(first), std::nullopt);
    EXPECT_EQ(std::get<Admission>(first).key_id(), key.id);
    EXPECT_EQ(std::get<Admission>(first).rate_limits().tokens->remaining, 0);
    EXPECT_NE(reason(accounts.admit(key, request(1, 1))), std::nullopt);
    first = Refusal{};
    // What it held of the balance comes back when the ledger has written its end.
    while (reason(accounts.admit(key, request())) == Reason::balance) std::this_thread::yield();
  }
  const UsageReport usage = report_usage(file_, {});
  EXPECT_EQ(usage.total.failed, usage.total.requests());
  EXPECT_EQ(usage.total.charge, Money());
  EXPECT_EQ(usage.open, 0);
}

TEST_F(AccountsTest, ACancelledRequestPaysForWhatWasComputed) {
  const Key key =
      KeyStore(file_).add({.name = "a", .balance = KeyBalance{{}, Money::parse("1", "")}}).key;
  Accounts accounts(settings(), time_.clock());
  Admission admission = std::get<Admission>(accounts.admit(key, request()));
  accounts.settle(std::move(admission), {0, 100, 10, 10}, Outcome::cancelled).get();
  EXPECT_EQ(accounts.balance(key)->amount.total().exact(), "0.998");
  EXPECT_EQ(accounts.balance(key)->amount.total().cents(), "0.99");
  EXPECT_TRUE(accounts.balance(key)->available);
  EXPECT_EQ(report_usage(file_, {}).total.cancelled, 1);
}

TEST_F(AccountsTest, ADaysTokensOutliveARestart) {
  const Key key = KeyStore(file_).add({.name = "a", .limits = {.daily_tokens = 2000}}).key;
  {
    Accounts accounts(settings(), time_.clock());
    accounts.settle(std::get<Admission>(accounts.admit(key, request())), {0, 100, 1000, 0}).get();
  }
  Accounts accounts(settings(), time_.clock());
  EXPECT_EQ(reason(accounts.admit(key, request())), Reason::daily_tokens);
  EXPECT_EQ(reason(accounts.admit(key, request(100, 800))), std::nullopt);
}

TEST_F(AccountsTest, ManyThreadsNeverSpendMoreThanThereIs) {
  const Money before = Money::parse("2", "");
  const Key key = KeyStore(file_).add({.name = "a", .balance = KeyBalance{{}, before}}).key;
  constexpr int kThreads = 4, kRequests = 100;
  std::vector<Money> charged(kThreads);
  std::vector<int> refused(kThreads);
  {
    Accounts accounts(settings(), time_.clock());
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRequests; ++i) {
          auto admitted =
              accounts.admit(key, {fmt::format("{}-{}", t, i), "nano", 100, 200});  // 0.021
          if (Admission* admission = std::get_if<Admission>(&admitted)) {
            charged[t] += accounts.settle(std::move(*admission), {0, 100, 200, 0}).get().amount;
          } else {
            ++refused[t];
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    Money sum;
    int refusals = 0;
    for (int t = 0; t < kThreads; ++t) {
      sum += charged[t];
      refusals += refused[t];
    }
    const Money left = accounts.balance(key)->amount.total();
    EXPECT_EQ(left, before - sum);
    EXPECT_GE(left, Money());
    EXPECT_LT(left, Money::parse("0.021", ""));
    EXPECT_EQ(refusals, kThreads * kRequests - 95);
  }
}

}  // namespace
}  // namespace r1::serve
