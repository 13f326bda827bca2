#include "serve/accounts/usage_report.h"

#include <gtest/gtest.h>

#include "serve/accounts/accounts.h"
#include "serve/accounts/accounts_test_file.h"
#include "serve/accounts/key_store.h"

namespace r1::serve {
namespace {

using namespace std::chrono_literals;

TEST(UsageReport, SumsByKeyModelAndDay) {
  const testing::TemporaryFolder folder;
  testing::FakeTime time;
  KeyStore store(folder / "accounts.db", time.clock());
  const Key alice = store.add({.name = "alice"}).key, bob = store.add({.name = "bob"}).key;
  const PriceTable prices = PriceTable::parse(
      "currency: CNY\nmodels:\n  \"*\": {cache_hit: 1, cache_miss: 4, output: 16}\n", "p");
  Accounts accounts({.file = folder / "accounts.db", .prices = prices}, time.clock());
  int count = 0;
  const auto serve = [&](const Key& key, const char* model, Outcome outcome) {
    auto admitted = accounts.admit(key, {fmt::format("{}", ++count), model, 1000, 1000});
    accounts.settle(std::get<Admission>(std::move(admitted)), {640, 360, 1000, 900}, outcome).get();
  };
  serve(alice, "nano", Outcome::finished);
  serve(alice, "r1", Outcome::finished);
  time.advance(14h);  // midnight
  serve(bob, "nano", Outcome::cancelled);
  const auto under_way = accounts.admit(bob, {"open", "nano", 1, 1});

  const auto report = [&](UsageQuery query) { return report_usage(folder / "accounts.db", query); };
  const UsageReport by_key = report({.by = UsageQuery::By::key});
  EXPECT_EQ(by_key.currency, "CNY");
  ASSERT_EQ(by_key.rows.size(), 2u);
  const UsageRow& of_alice = by_key.rows[by_key.rows[0].key_name == "alice" ? 0 : 1];
  EXPECT_EQ(of_alice.group, alice.id);
  EXPECT_EQ(of_alice.finished, 2);
  EXPECT_EQ(of_alice.usage.cache_hit_tokens, 1280);
  EXPECT_EQ(of_alice.usage.reasoning_tokens, 1800);
  EXPECT_EQ(of_alice.charge.exact(), "0.03616");
  EXPECT_EQ(by_key.total.requests(), 3);
  EXPECT_EQ(by_key.total.charge.exact(), "0.05424");

  const UsageReport by_model = report({.by = UsageQuery::By::model});
  ASSERT_EQ(by_model.rows.size(), 2u);
  EXPECT_EQ(by_model.rows[0].group, "nano");
  EXPECT_EQ(by_model.rows[0].cancelled, 1);
  EXPECT_EQ(by_model.rows[1].requests(), 1);

  const UsageReport by_day = report({.by = UsageQuery::By::day});
  ASSERT_EQ(by_day.rows.size(), 2u);
  EXPECT_EQ(by_day.rows[0].group, "2026-11-28");
  EXPECT_EQ(by_day.rows[0].requests(), 2);
  EXPECT_EQ(by_day.rows[1].group, "2026-11-29");

  const WallTime midnight = testing::FakeTime::kStart + 14h;
  EXPECT_EQ(report({.to = midnight}).total.requests(), 2);
  EXPECT_EQ(report({.from = midnight}).total.requests(), 1);
  EXPECT_EQ(report({.from = midnight, .to = midnight}).total.requests(), 0);
}

}  // namespace
}  // namespace r1::serve
