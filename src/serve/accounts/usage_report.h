#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "serve/accounts/key.h"
#include "serve/accounts/usage.h"

namespace r1::serve {

struct UsageQuery {
  enum class By { key, model, day };
  By by = By::key;
  std::optional<WallTime> from = {}, to = {};  // by the request's end; `to` itself is not included
};

struct UsageRow {
  std::string group;     // key id (empty: without keys), model, or day ("2026-11-28", in UTC)
  std::string key_name;  // by key
  std::int64_t finished = 0, cancelled = 0, failed = 0, interrupted = 0;  // requests
  Usage usage;
  Money charge;

  std::int64_t requests() const { return finished + cancelled + failed + interrupted; }
  void add(const UsageRow& other);
};

struct UsageReport {
  std::string currency;
  std::vector<UsageRow> rows;  // in the order of their groups
  UsageRow total;
  std::int64_t open = 0;  // requests under way, which are in no row
};

// What an accounts file says, also while a server writes it.
UsageReport report_usage(const std::filesystem::path& file, const UsageQuery& query);

}  // namespace r1::serve
