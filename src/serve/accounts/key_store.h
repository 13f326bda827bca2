#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/accounts/clock.h"
#include "serve/accounts/key.h"
#include "serve/accounts/key_secret.h"
#include "serve/accounts/sqlite.h"

// The keys of an accounts file.
namespace r1::serve {

// Reads keys through a connection of its caller's.
class KeyReader {
 public:
  explicit KeyReader(const Database& database);

  struct Stored {
    Key key;
    StoredSecret secret;
  };
  std::optional<Stored> by_id(std::string_view id);
  std::vector<Key> all();  // in the order of their making
  std::optional<KeyBalance> balance(std::string_view id);

 private:
  Statement by_id_, all_, balance_;
};

// What an operator does with keys. Each call is one transaction; a server that has the same file
// open sees it with its next request.
class KeyStore {
 public:
  explicit KeyStore(const std::filesystem::path& file, Clock clock = {});

  struct NewKey {
    Key key;
    std::string text;  // the key itself; it cannot be shown again
  };
  // `settings` without id and created. Throws Error for a name in use, one that is no name, and for
  // an expiry that has passed.
  NewKey add(Key settings);
  std::vector<Key> list() { return reader_.all(); }
  // By id, or by name: then of keys in use before revoked ones. Throws Error if there is none.
  Key find(std::string_view name_or_id);
  // For ever; its name is free again. Nothing happens to a key that is revoked already.
  Key revoke(std::string_view name_or_id);

  // What changes; the rest stays as it is. An inner nullopt takes a limit away.
  template <typename T>
  using Change = std::optional<std::optional<T>>;
  struct Changes {
    Change<std::int64_t> requests_per_minute = {}, tokens_per_minute = {}, concurrent = {},
                         daily_tokens = {};
    Change<WallTime> expires = {};
    Change<Money> balance = {};  // topped-up money is set to this; none: not limited
    std::optional<Money> top_up = {},
                         grant = {};  // added; makes a key limited by money that was not
    std::optional<bool> disabled = {};
    std::optional<std::vector<std::string>> models = {};
  };
  Key change(std::string_view name_or_id, const Changes& changes);

 private:
  Database database_;
  KeyReader reader_;
  Clock clock_;
};

}  // namespace r1::serve
