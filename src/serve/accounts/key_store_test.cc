#include "serve/accounts/key_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "serve/accounts/accounts_file.h"
#include "serve/accounts/accounts_test_file.h"

namespace r1::serve {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

template <typename Action>
std::string refusal(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

class Keys : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  fs::path file_ = folder_ / "accounts.db";
  testing::FakeTime time_;
};

TEST(KeySecret, AKeyMatchesItsHashAlone) {
  const std::string key = new_key();
  EXPECT_EQ(key.size(), 67u);
  EXPECT_EQ(key_id_of(key), key.substr(0, 14));
  const StoredSecret stored = hash_key(key);
  EXPECT_TRUE(matches(key, stored));
  for (std::size_t i = 0; i < key.size(); ++i) {
    std::string other = key;
    other[i] = other[i] == 'a' ? 'b' : 'a';
    EXPECT_FALSE(matches(other, stored)) << i;
  }
  // Salted: the same key is stored differently each time.
  EXPECT_NE(hash_key(key).hash, stored.hash);
  EXPECT_FALSE(matches(key, StoredSecret{}));
}

TEST(KeySecret, KeysDifferAndOtherTextsAreNone) {
  std::set<std::string> keys;
  for (int i = 0; i < 1000; ++i) keys.insert(new_key());
  EXPECT_EQ(keys.size(), 1000u);
  const std::string key = new_key();
  for (const std::string& text :
       {std::string(), std::string("sk-r1-"), key + "a", key.substr(1), std::string(67, 'a'),
        key.substr(0, 66) + "\n", key.substr(0, 66) + std::string(1, '\0')}) {
    EXPECT_EQ(key_id_of(text), "") << text;
  }
}

TEST_F(Keys, ComeBackAsTheyWereMade) {
  Key settings;
  settings.name = "alice";
  settings.expires = testing::FakeTime::kStart + 24h;
  settings.limits = {60, 100'000, 4, 1'000'000};
  settings.balance = KeyBalance{Money::parse("1.5", ""), Money::parse("10", "")};
  settings.models = {"deepseek-reasoner", "nano"};
  KeyStore store(file_, time_.clock());
  const KeyStore::NewKey made = store.add(settings);
  const Key key = KeyStore(file_).find("alice");
  EXPECT_EQ(key.id, key_id_of(made.text));
  EXPECT_EQ(key.created, testing::FakeTime::kStart);
  EXPECT_EQ(key.expires, settings.expires);
  EXPECT_EQ(key.limits.requests_per_minute, 60);
  EXPECT_EQ(key.limits.tokens_per_minute, 100'000);
  EXPECT_EQ(key.limits.concurrent, 4);
  EXPECT_EQ(key.limits.daily_tokens, 1'000'000);
  EXPECT_EQ(key.balance->total().exact(), "11.50");
  EXPECT_THAT(key.models, ElementsAre("deepseek-reasoner", "nano"));
  EXPECT_TRUE(key.may_use("nano"));
  EXPECT_FALSE(key.may_use("nan"));
}

TEST_F(Keys, TheFileIsItsOwnersAndHoldsNoKey) {
  KeyStore store(file_);
  const std::string key = store.add({.name = "a"}).text;
  for (const auto& entry : fs::directory_iterator(file_.parent_path())) {
    struct stat status {};
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << entry.path();
    const std::string content = read_text_file(entry.path(), 1 << 24);
    EXPECT_EQ(content.find(key), std::string::npos) << entry.path();
    EXPECT_EQ(content.find(key.substr(15)), std::string::npos) << entry.path();
  }
  fs::permissions(file_, fs::perms::group_read, fs::perm_options::add);
  EXPECT_THAT(refusal([&] { KeyStore again(file_); }), HasSubstr("chmod 600"));
}

TEST_F(Keys, AreRevokedForEverAndFreeTheirName) {
  KeyStore store(file_, time_.clock());
  const Key first = store.add({.name = "bob"}).key;
  EXPECT_THAT(refusal([&] { store.add({.name = "bob"}); }), HasSubstr("bob: is the name of a key"));
  EXPECT_TRUE(store.revoke("bob").revoked);
  time_.advance(1s);
  EXPECT_EQ(store.revoke(first.id).revoked, testing::FakeTime::kStart);
  EXPECT_THAT(refusal([&] { store.change("bob", {.disabled = true}); }), HasSubstr("revoked"));
  const Key second = store.add({.name = "bob"}).key;
  EXPECT_EQ(store.find("bob").id, second.id);
  EXPECT_EQ(store.find(first.id).id, first.id);
  EXPECT_EQ(store.list().size(), 2u);
  EXPECT_THAT(refusal([&] { store.find("carol"); }), HasSubstr("r1 keys list"));
}

TEST_F(Keys, ChangeOnlyWhatIsSaid) {
  KeyStore store(file_, time_.clock());
  store.add({.name = "a", .limits = {.requests_per_minute = 5, .concurrent = 2}});
  KeyStore::Changes changes;
  changes.requests_per_minute = std::optional<std::int64_t>();
  changes.daily_tokens = std::optional<std::int64_t>(1000);
  changes.top_up = Money::parse("3", "");
  changes.grant = Money::parse("0.5", "");
  store.change("a", changes);
  const Key key = store.change("a", {.disabled = true});
  EXPECT_FALSE(key.limits.requests_per_minute);
  EXPECT_EQ(key.limits.concurrent, 2);
  EXPECT_EQ(key.limits.daily_tokens, 1000);
  EXPECT_EQ(key.balance->topped_up.exact(), "3.00");
  EXPECT_EQ(key.balance->granted.exact(), "0.50");
  EXPECT_TRUE(store.find("a").disabled);
  store.change("a", {.balance = std::optional<Money>()});
  EXPECT_FALSE(store.find("a").balance);
}

TEST_F(Keys, RefuseWhatMakesNoSense) {
  KeyStore store(file_, time_.clock());
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a\nb"), std::string(101, 'x')}) {
    EXPECT_THAT(refusal([&] { store.add({.name = name}); }), HasSubstr("cannot be a name"));
  }
  EXPECT_THAT(refusal([&] { store.add({.name = "a", .limits = {.concurrent = 0}}); }),
              HasSubstr("expected a number from 1"));
  EXPECT_THAT(refusal([&] { store.add({.name = "a", .expires = testing::FakeTime::kStart}); }),
              HasSubstr("has passed"));
  EXPECT_TRUE(store.list().empty());
}

TEST_F(Keys, OtherFilesAreLeftAlone) {
  std::ofstream(file_) << "this is a diary, not a database; it has more than a few bytes\n";
  fs::permissions(file_, fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_THAT(refusal([&] { KeyStore store(file_); }), HasSubstr("not a database"));
  EXPECT_THAT(read_text_file(file_, 1000), HasSubstr("diary"));
  EXPECT_THAT(refusal([&] { read_accounts_file(folder_ / "none.db"); }), HasSubstr("r1 keys add"));
}

}  // namespace
}  // namespace r1::serve
