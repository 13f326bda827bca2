// Keys and usage from outside: what an operator types.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "program.h"
#include "serve/accounts/accounts.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class AccountsCli : public ::testing::Test {
 protected:
  AccountsCli() : folder_(fs::temp_directory_path() / fmt::format("r1-keys-test-{}", ::getpid())) {
    fs::remove_all(folder_);
  }
  ~AccountsCli() override { fs::remove_all(folder_); }

  ProgramResult r1(const std::vector<std::string>& arguments) {
    return run_program(arguments, {}, {"R1_ACCOUNTS=" + file_.string()});
  }
  json r1_json(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    const ProgramResult result = r1(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json::parse(result.out);
  }

  fs::path folder_;
  fs::path file_ = folder_ / "r1" / "accounts.db";
};

TEST_F(AccountsCli, AKeyIsMadeShownChangedAndRevoked) {
  const ProgramResult added = r1({"keys", "add", "alice", "--requests-per-minute", "60",
                                  "--balance", "10", "--models", "nano,r1"});
  EXPECT_EQ(added.exit_code, 0) << added.err;
  EXPECT_THAT(added.out, MatchesRegex("sk-r1-[a-z0-9]{8}-[a-z0-9]{52}\n"));
  EXPECT_THAT(added.err, HasSubstr("only time"));
  const std::string key = added.out.substr(0, 67);

  const json shown = r1_json({"keys", "show", "alice"});
  EXPECT_EQ(shown["id"], key.substr(0, 14));
  EXPECT_EQ(shown["requests_per_minute"], 60);
  EXPECT_EQ(shown["daily_tokens"], nullptr);
  EXPECT_EQ(shown["balance"]["total"], "10.00");
  EXPECT_EQ(shown["models"], json({"nano", "r1"}));
  EXPECT_THAT(r1({"keys", "list"}).out, AllOf(HasSubstr("alice"), Not(HasSubstr(key))));

  const json changed = r1_json({"keys", "set", "alice", "--top-up", "2.5", "--grant", "0.25",
                                "--requests-per-minute", "none", "--disable", "--models", "none",
                                "--expires", "2126-01-02T03:04"});
  EXPECT_EQ(changed["requests_per_minute"], nullptr);
  EXPECT_EQ(changed["balance"]["total"], "12.75");
  EXPECT_EQ(changed["state"], "disabled");
  EXPECT_EQ(changed["models"], json::array());
  EXPECT_EQ(changed["expires"], "2126-01-02T03:04:00Z");

  EXPECT_THAT(r1({"keys", "revoke", "alice"}).out, StartsWith("revoked alice (sk-r1-"));
  EXPECT_EQ(r1_json({"keys", "list"})["keys"][0]["state"], "revoked");
}

TEST_F(AccountsCli, WrongArgumentsAreOneLine) {
  const auto refused = [&](const std::vector<std::string>& arguments, int exit_code,
                           const std::string& message) {
    const ProgramResult result = r1(arguments);
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_THAT(result.err, AllOf(StartsWith("error: "), HasSubstr(message)));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  };
  refused({"keys"}, 2, "keys --help");
  refused({"keys", "add", "a", "--concurrent", "0"}, 2, "--concurrent");
  refused({"keys", "add", "a", "--balance", "1e3"}, 2, "--balance");
  refused({"keys", "add", "a", "--expires", "2026-02-30"}, 2, "--expires");
  refused({"usage"}, 1, "r1 keys add NAME");
  EXPECT_FALSE(fs::exists(file_));
  refused({"keys", "add", "a", "--expires", "2020-01-01"}, 2, "has passed");
  refused({"keys", "add", "a b"}, 2, "cannot be a name");
  refused({"keys", "revoke", "nobody"}, 1, "r1 keys list");
  refused({"usage", "--by", "hour"}, 2, "key, model, day");
  refused({"usage", "--from", "yesterday"}, 2, "--from");
}

TEST_F(AccountsCli, UsageIsReportedByKeyModelAndDay) {
  const json made = r1_json({"keys", "add", "alice"});
  {
    serve::Accounts accounts(
        {.file = file_,
         .require_keys = true,
         .prices = serve::PriceTable::parse(
             "currency: USD\nmodels:\n  nano: {cache_hit: 0.14, cache_miss: 0.55, output: 2.19}\n",
             "prices")});
    const serve::Key key =
        std::get<serve::Key>(accounts.authenticate(made["key"].get<std::string>()));
    auto admitted = accounts.admit(key, {"req-1", "nano", 100, 1000});
    accounts.settle(std::get<serve::Admission>(std::move(admitted)), {64, 36, 500, 400}).get();
  }
  const json by_key = r1_json({"usage"});
  EXPECT_EQ(by_key["currency"], "USD");
  EXPECT_EQ(by_key["rows"][0]["key"], made["id"]);
  EXPECT_EQ(by_key["rows"][0]["name"], "alice");
  EXPECT_EQ(by_key["rows"][0]["reasoning_tokens"], 400);
  EXPECT_EQ(by_key["total"]["charge"], "0.00112376");
  EXPECT_EQ(r1_json({"usage", "--by", "model"})["rows"][0]["model"], "nano");
  EXPECT_THAT(r1({"usage", "--by", "day"}).out, AllOf(HasSubstr("total"), HasSubstr("0.00112376")));
  EXPECT_THAT(r1({"usage", "--to", "2026-01-01"}).err, HasSubstr("no requests"));
}

}  // namespace
}  // namespace r1
