#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "serve/accounts/key.h"

// Arguments that the commands on keys and usage share.
namespace r1::cli {

// --keys FILE, with r1's own place as the default.
void add_accounts_file(CLI::App& command, std::optional<std::string>& file);
std::filesystem::path accounts_file(const std::optional<std::string>& file);

// "2026-11-28", "2026-11-28T10:15" or "2026-11-28T10:15:00", in UTC, with or without a Z. Throws
// UsageError naming `flag`.
serve::WallTime parse_time(const std::string& text, const std::string& flag);
// "2026-11-28T10:15:00Z"
std::string format_time(serve::WallTime time);

}  // namespace r1::cli
