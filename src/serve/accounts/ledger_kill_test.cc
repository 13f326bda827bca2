// What a server's books say after kill -9, compared with what its clients got.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "serve/accounts/accounts.h"
#include "serve/accounts/accounts_file.h"
#include "serve/accounts/accounts_test_file.h"
#include "serve/accounts/key_store.h"

namespace r1::serve {
namespace {

constexpr const char* kPrices =
    "currency: USD\nmodels:\n  nano: {cache_hit: 0.14, cache_miss: 0.55, output: 2.19}\n";
constexpr int kThreads = 6;
constexpr int kRounds = 12;
constexpr std::uint32_t kMostReplies = 150;  // until a kill

// The usage of a request, drawn from its name alone.
Usage usage_of(std::uint32_t round, std::uint32_t thread, std::uint32_t number) {
  Rng rng(round, thread, number);
  return {rng.between(0, 999), rng.between(0, 999), rng.between(0, 999), 0};
}

std::string request_id(std::uint32_t round, std::uint32_t thread, std::uint32_t number) {
  return fmt::format("{}-{}-{}", round, thread, number);
}

// Serves until it is killed. For each request whose reply has ended: a line "id charge".
[[noreturn]] void serve(const std::filesystem::path& file, const std::string& key_text, int pipe,
                        std::uint32_t round) {
  Accounts accounts(
      {.file = file, .require_keys = true, .prices = PriceTable::parse(kPrices, "p")});
  const Key key = std::get<Key>(accounts.authenticate(key_text));
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::vector<Admission> never_end;
      for (std::uint32_t n = 0;; ++n) {
        const Usage usage = usage_of(round, t, n);
        auto admitted = accounts.admit(
            key, {request_id(round, t, n), "nano", usage.prompt_tokens(), usage.completion_tokens});
        Admission admission = std::get<Admission>(std::move(admitted));
        if (n % 7 == 3) {
          never_end.push_back(std::move(admission));
          continue;
        }
        if (n % 7 == 5) continue;  // an exception on the way
        const Charge charge = accounts.settle(std::move(admission), usage).get();
        const std::string line =
            fmt::format("{} {}\n", request_id(round, t, n), charge.amount.picos());
        if (::write(pipe, line.data(), line.size()) < 0) ::_exit(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ::_exit(1);
}

// Lets a server run until it has reported about `replies`, kills it, and returns all it reported.
std::string serve_and_kill(const std::filesystem::path& file, const std::string& key,
                           std::uint32_t round, std::uint32_t replies) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    serve(file, key, ends[1], round);
  }
  ::close(ends[1]);
  std::string reported;
  std::uint32_t lines = 0;
  char block[4096];
  for (bool alive = true;;) {
    if (alive && lines >= replies) {
      ::kill(child, SIGKILL);
      alive = false;
    }
    const ssize_t got = ::read(ends[0], block, alive ? 40 : sizeof block);
    if (got <= 0) break;
    reported.append(block, static_cast<std::size_t>(got));
    lines += static_cast<std::uint32_t>(std::count(block, block + got, '\n'));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  return reported;
}

struct Row {
  std::int64_t state, charge;
};

std::map<std::string, Row> rows(const std::filesystem::path& file) {
  std::map<std::string, Row> all;
  Database database = read_accounts_file(file);
  database.prepare("SELECT id, state, charge FROM requests").for_each([&](const Statement& row) {
    all[row.text(0)] = {row.integer(1), row.integer(2)};
  });
  return all;
}

TEST(LedgerKill, NoReplyIsUnbilledAndNoneBilledTwice) {
  const testing::TemporaryFolder folder;
  const std::filesystem::path file = folder / "accounts.db";
  const Money before = Money::parse("1000", "");
  const KeyStore::NewKey key =
      KeyStore(file).add({.name = "client", .balance = KeyBalance{{}, before}});
  const PriceTable prices = PriceTable::parse(kPrices, "p");

  std::map<std::string, std::int64_t> delivered;
  Rng rng(1, 2, 3);
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    std::istringstream lines(serve_and_kill(file, key.text, round, rng.below(kMostReplies)));
    std::string id;
    for (std::int64_t charge = 0; lines >> id >> charge;) {
      EXPECT_TRUE(delivered.emplace(id, charge).second) << id << " ended twice";
    }
  }
  // A new server settles what the last one left.
  { const Accounts accounts({.file = file, .prices = prices}); }

  const std::map<std::string, Row> books = rows(file);
  Money billed;
  std::int64_t finished = 0, interrupted = 0;
  for (const auto& [id, row] : books) {
    EXPECT_NE(row.state, 0) << id << " is open";
    billed += Money::from_picos(row.charge);
    if (row.state == 1) {
      ++finished;
      std::uint32_t round = 0, thread = 0, number = 0;
      ASSERT_EQ(std::sscanf(id.c_str(), "%u-%u-%u", &round, &thread, &number), 3) << id;
      EXPECT_EQ(row.charge, prices.find("nano")->of(usage_of(round, thread, number)).picos()) << id;
    } else {
      EXPECT_EQ(row.charge, 0) << id;
      EXPECT_FALSE(delivered.contains(id)) << id << " was delivered and is not billed";
      interrupted += row.state == 4 ? 1 : 0;
    }
  }
  for (const auto& [id, charge] : delivered) {
    const auto row = books.find(id);
    ASSERT_NE(row, books.end()) << id << " was delivered and is not in the books";
    EXPECT_EQ(row->second.charge, charge) << id;
  }
  // Every charge left the balance once.
  EXPECT_EQ(KeyStore(file).find("client").balance->total(), before - billed);
  // At a kill at most one reply per thread was billed and not delivered.
  EXPECT_LE(finished - static_cast<std::int64_t>(delivered.size()), kRounds * kThreads);
  EXPECT_GT(delivered.size(), 300u);
  EXPECT_GT(interrupted, kRounds);
}

}  // namespace
}  // namespace r1::serve
