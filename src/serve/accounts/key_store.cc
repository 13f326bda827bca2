#include "serve/accounts/key_store.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "serve/accounts/accounts_file.h"

namespace r1::serve {
namespace {

constexpr std::size_t kMaxNameBytes = 100;
constexpr std::size_t kMaxModels = 1000;

constexpr const char* kColumns =
    "SELECT id, name, created, expires, revoked, disabled, requests_per_minute, tokens_per_minute, "
    "concurrent, daily_tokens, granted, topped_up, models, salt, hash FROM keys";

WallTime wall_time(std::int64_t milliseconds) {
  return WallTime(std::chrono::milliseconds(milliseconds));
}
std::optional<WallTime> wall_time(std::optional<std::int64_t> milliseconds) {
  if (!milliseconds) return std::nullopt;
  return wall_time(*milliseconds);
}
std::optional<std::int64_t> milliseconds(std::optional<WallTime> time) {
  if (!time) return std::nullopt;
  return serve::milliseconds(*time);  // not this one again
}

std::optional<std::int64_t> picos(const std::optional<KeyBalance>& balance,
                                  Money KeyBalance::*part) {
  if (!balance) return std::nullopt;
  return ((*balance).*part).picos();
}

// Model names are kept one a line.
std::string lines(const std::vector<std::string>& models) {
  return fmt::format("{}", fmt::join(models, "\n"));
}
std::vector<std::string> from_lines(std::string_view text) {
  std::vector<std::string> models;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    models.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return models;
}

std::optional<KeyBalance> balance_at(const Statement& row, int column) {
  const std::optional<std::int64_t> granted = row.optional_integer(column);
  if (!granted) return std::nullopt;
  return KeyBalance{Money::from_picos(*granted), Money::from_picos(row.integer(column + 1))};
}

KeyReader::Stored stored_key(const Statement& row) {
  KeyReader::Stored stored;
  Key& key = stored.key;
  key.id = row.text(0);
  key.name = row.text(1);
  key.created = wall_time(row.integer(2));
  key.expires = wall_time(row.optional_integer(3));
  key.revoked = wall_time(row.optional_integer(4));
  key.disabled = row.integer(5) != 0;
  key.limits.requests_per_minute = row.optional_integer(6);
  key.limits.tokens_per_minute = row.optional_integer(7);
  key.limits.concurrent = row.optional_integer(8);
  key.limits.daily_tokens = row.optional_integer(9);
  key.balance = balance_at(row, 10);
  key.models = from_lines(row.text(12));
  const std::string salt = row.text(13), hash = row.text(14);
  if (salt.size() != kSaltBytes || hash.size() != kHashBytes) {
    throw Error(key.id, "is damaged in the accounts file", "revoke it and add another");
  }
  std::memcpy(stored.secret.salt.data(), salt.data(), kSaltBytes);
  std::memcpy(stored.secret.hash.data(), hash.data(), kHashBytes);
  return stored;
}

void check_name(std::string_view what, std::string_view name) {
  const auto visible = [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) != 0x7F;
  };
  if (name.empty() || name.size() > kMaxNameBytes || !std::ranges::all_of(name, visible)) {
    throw UsageError(what, fmt::format("'{}' cannot be a name", name.substr(0, kMaxNameBytes)),
                     fmt::format("take 1 to {} bytes without spaces", kMaxNameBytes));
  }
}

void check_limits(const KeyLimits& limits) {
  // Token buckets count in millionths of a token (token_bucket.h).
  constexpr std::int64_t kMost = 1'000'000'000;
  const auto check = [](const char* name, std::optional<std::int64_t> limit, std::int64_t most) {
    if (!limit || (*limit >= 1 && *limit <= most)) return;
    throw UsageError(name, fmt::format("is {}, expected a number from 1 to {}", *limit, most),
                     "disable the key to let nothing through");
  };
  check("requests per minute", limits.requests_per_minute, kMost);
  check("tokens per minute", limits.tokens_per_minute, kMost);
  check("concurrent requests", limits.concurrent, kMost);
  check("daily tokens", limits.daily_tokens, kMost * kMost / 1000);
}

void check_settings(const Key& key, WallTime now) {
  check_limits(key.limits);
  for (const std::string& model : key.models) check_name("models", model);
  if (key.models.size() > kMaxModels) {
    throw UsageError("models", fmt::format("{} are too many", key.models.size()));
  }
  if (key.expires && !key.revoked && *key.expires <= now) {
    throw UsageError("expiry", "has passed already");
  }
}

template <typename T>
void apply(const KeyStore::Change<T>& change, std::optional<T>& target) {
  if (change) target = *change;
}

}  // namespace

KeyReader::KeyReader(const Database& database)
    : by_id_(database.prepare(fmt::format("{} WHERE id = ?", kColumns))),
      all_(database.prepare(fmt::format("{} ORDER BY created, id", kColumns))),
      balance_(database.prepare("SELECT granted, topped_up FROM keys WHERE id = ?")) {}

std::optional<KeyReader::Stored> KeyReader::by_id(std::string_view id) {
  std::optional<Stored> found;
  by_id_.for_each([&](const Statement& row) { found = stored_key(row); }, id);
  return found;
}

std::vector<Key> KeyReader::all() {
  std::vector<Key> keys;
  all_.for_each([&](const Statement& row) { keys.push_back(stored_key(row).key); });
  return keys;
}

std::optional<KeyBalance> KeyReader::balance(std::string_view id) {
  std::optional<KeyBalance> balance;
  balance_.for_each([&](const Statement& row) { balance = balance_at(row, 0); }, id);
  return balance;
}

KeyStore::KeyStore(const std::filesystem::path& file, Clock clock)
    : database_(open_accounts_file(file)), reader_(database_), clock_(std::move(clock)) {}

KeyStore::NewKey KeyStore::add(Key settings) {
  NewKey made{std::move(settings), new_key()};
  Key& key = made.key;
  key.id = key_id_of(made.text);
  key.created = clock_.wall();
  check_name("name", key.name);
  check_settings(key, key.created);
  const StoredSecret secret = hash_key(made.text);
  Transaction transaction(database_);
  std::int64_t same_name = 0;
  database_.prepare("SELECT count(*) FROM keys WHERE name = ? AND revoked IS NULL")
      .for_each([&](const Statement& row) { same_name = row.integer(0); }, key.name);
  if (same_name != 0) {
    throw Error(key.name, "is the name of a key in use", "revoke that one or take another name");
  }
  database_
      .prepare(
          "INSERT INTO keys (id, name, salt, hash, created, expires, disabled, "
          "requests_per_minute, tokens_per_minute, concurrent, daily_tokens, granted, "
          "topped_up, models) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .run(key.id, key.name, std::span<const std::byte>(secret.salt),
           std::span<const std::byte>(secret.hash), milliseconds(key.created),
           milliseconds(key.expires), std::int64_t{key.disabled}, key.limits.requests_per_minute,
           key.limits.tokens_per_minute, key.limits.concurrent, key.limits.daily_tokens,
           picos(key.balance, &KeyBalance::granted), picos(key.balance, &KeyBalance::topped_up),
           lines(key.models));
  transaction.commit();
  return made;
}

Key KeyStore::find(std::string_view name_or_id) {
  std::optional<Key> found;
  for (Key& key : list()) {
    if (key.id == name_or_id) return key;
    if (key.name == name_or_id && (!found || !key.revoked)) found = std::move(key);
  }
  if (!found) throw Error(name_or_id, "is neither name nor id of a key", "see r1 keys list");
  return *found;
}

Key KeyStore::revoke(std::string_view name_or_id) {
  Transaction transaction(database_);
  Key key = find(name_or_id);
  if (!key.revoked) key.revoked = clock_.wall();
  database_.prepare("UPDATE keys SET revoked = ? WHERE id = ?")
      .run(milliseconds(key.revoked), key.id);
  transaction.commit();
  return key;
}

Key KeyStore::change(std::string_view name_or_id, const Changes& changes) {
  Transaction transaction(database_);
  Key key = find(name_or_id);
  if (key.revoked) throw Error(key.name, "is revoked for ever", "add another key");
  apply(changes.requests_per_minute, key.limits.requests_per_minute);
  apply(changes.tokens_per_minute, key.limits.tokens_per_minute);
  apply(changes.concurrent, key.limits.concurrent);
  apply(changes.daily_tokens, key.limits.daily_tokens);
  apply(changes.expires, key.expires);
  if (changes.balance) {
    key.balance =
        *changes.balance ? std::optional(KeyBalance{{}, **changes.balance}) : std::nullopt;
  }
  if (changes.top_up || changes.grant) {
    KeyBalance balance = key.balance.value_or(KeyBalance{});
    balance.topped_up += changes.top_up.value_or(Money());
    balance.granted += changes.grant.value_or(Money());
    key.balance = balance;
  }
  if (changes.disabled) key.disabled = *changes.disabled;
  if (changes.models) key.models = *changes.models;
  check_settings(key, changes.expires ? clock_.wall() : WallTime::min());
  database_
      .prepare(
          "UPDATE keys SET expires = ?, disabled = ?, requests_per_minute = ?, "
          "tokens_per_minute = ?, concurrent = ?, daily_tokens = ?, granted = ?, "
          "topped_up = ?, models = ? WHERE id = ?")
      .run(milliseconds(key.expires), std::int64_t{key.disabled}, key.limits.requests_per_minute,
           key.limits.tokens_per_minute, key.limits.concurrent, key.limits.daily_tokens,
           picos(key.balance, &KeyBalance::granted), picos(key.balance, &KeyBalance::topped_up),
           lines(key.models), key.id);
  transaction.commit();
  return key;
}

}  // namespace r1::serve
