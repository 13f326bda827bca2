#pragma once

#include <filesystem>

#include "serve/accounts/sqlite.h"

// The SQLite file that holds keys and ledger, readable by its owner alone. Amounts of money are in
// 10^-12 units, times in milliseconds since 1970 in UTC. Tables: keys, requests, settings (the
// currency). In WAL mode, each commit flushed to the disk.
namespace r1::serve {

// R1_ACCOUNTS, or r1/accounts.db under XDG_DATA_HOME, or under ~/.local/share.
std::filesystem::path default_accounts_file();

// Opens it, creating it (with its folder) if it is missing. Throws Error for a file that is
// something else, of a later version, or open to others.
Database open_accounts_file(const std::filesystem::path& file);
// For reports: nothing is created or changed.
Database read_accounts_file(const std::filesystem::path& file);

}  // namespace r1::serve
