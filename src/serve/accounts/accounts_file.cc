#include "serve/accounts/accounts_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "base/error.h"

namespace r1::serve {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kApplicationId = 0x52314143;  // "R1AC"
constexpr std::int64_t kVersion = 1;

constexpr const char* kSchema = R"(
CREATE TABLE keys (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, salt BLOB NOT NULL, hash BLOB NOT NULL,
  created INTEGER NOT NULL, expires INTEGER, revoked INTEGER, disabled INTEGER NOT NULL,
  requests_per_minute INTEGER, tokens_per_minute INTEGER, concurrent INTEGER,
  daily_tokens INTEGER, granted INTEGER, topped_up INTEGER, models TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX keys_in_use ON keys (name) WHERE revoked IS NULL;

CREATE TABLE requests (
  id TEXT PRIMARY KEY, key_id TEXT NOT NULL, model TEXT NOT NULL, state INTEGER NOT NULL,
  admitted INTEGER NOT NULL, ended INTEGER, reserved INTEGER NOT NULL,
  cache_hit_tokens INTEGER NOT NULL DEFAULT 0, cache_miss_tokens INTEGER NOT NULL DEFAULT 0,
  completion_tokens INTEGER NOT NULL DEFAULT 0, reasoning_tokens INTEGER NOT NULL DEFAULT 0,
  charge INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_end ON requests (ended);
CREATE INDEX requests_open ON requests (state) WHERE state = 0;

CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
)";

std::string reason(int code) { return std::generic_category().message(code); }

std::int64_t pragma(Database& database, std::string_view sql) {
  std::int64_t value = 0;
  database.prepare(sql).for_each([&](const Statement& row) { value = row.integer(0); });
  return value;
}

void check_rights(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    throw Error(file.native(), fmt::format("cannot read: {}", reason(errno)),
                errno == ENOENT ? "r1 keys add NAME creates it" : "");
  }
  if (!S_ISREG(status.st_mode)) throw Error(file.native(), "is not a file");
  if ((status.st_mode & 077) != 0) {
    throw Error(file.native(), "can be read or written by others", "chmod 600 it");
  }
}

// SQLite gives the files it writes beside it the same rights.
void create_for_owner(const fs::path& file) {
  std::error_code ignored;
  if (file.has_parent_path()) fs::create_directories(file.parent_path(), ignored);
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno != EEXIST) {
    throw Error(file.native(), fmt::format("cannot create: {}", reason(errno)));
  }
  if (fd >= 0) ::close(fd);
}

void check_version(Database& database) {
  if (pragma(database, "PRAGMA application_id") != kApplicationId) {
    throw Error(database.file().native(), "is not an accounts file of r1", "give another path");
  }
  if (pragma(database, "PRAGMA user_version") != kVersion) {
    throw Error(database.file().native(), "was written by another version of r1", "update r1");
  }
}

void create_schema(Database& database) {
  Transaction transaction(database);
  // Another process may have been faster.
  if (pragma(database, "SELECT count(*) FROM sqlite_schema") != 0) return;
  database.execute(kSchema);
  database.execute(fmt::format("PRAGMA application_id = {}", kApplicationId).c_str());
  database.execute(fmt::format("PRAGMA user_version = {}", kVersion).c_str());
  transaction.commit();
}

}  // namespace

fs::path default_accounts_file() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
  };
  if (const std::string given = variable("R1_ACCOUNTS"); !given.empty()) return given;
  if (const std::string data = variable("XDG_DATA_HOME"); !data.empty()) {
    return fs::path(data) / "r1" / "accounts.db";
  }
  const std::string home = variable("HOME");
  if (home.empty()) {
    throw Error("HOME", "is not set, so there is no place for keys", "set R1_ACCOUNTS to a file");
  }
  return fs::path(home) / ".local" / "share" / "r1" / "accounts.db";
}

Database open_accounts_file(const fs::path& file) {
  create_for_owner(file);
  check_rights(file);
  Database database(file, Database::Access::read_write);
  database.execute("PRAGMA trusted_schema = OFF");
  if (pragma(database, "SELECT count(*) FROM sqlite_schema") == 0) {
    database.execute("PRAGMA journal_mode = WAL");
    create_schema(database);
  }
  check_version(database);
  database.execute("PRAGMA synchronous = FULL");
  return database;
}

Database read_accounts_file(const fs::path& file) {
  check_rights(file);
  Database database(file, Database::Access::read_only);
  check_version(database);
  return database;
}

}  // namespace r1::serve
