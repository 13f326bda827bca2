#include "serve/accounts/usage_report.h"

#include <limits>

#include "base/error.h"
#include "serve/accounts/accounts_file.h"
#include "serve/accounts/ledger.h"

namespace r1::serve {
namespace {

std::string_view group_of(UsageQuery::By by) {
  switch (by) {
    case UsageQuery::By::key:
      return "key_id";
    case UsageQuery::By::model:
      return "model";
    case UsageQuery::By::day:
      break;
  }
  return "date(ended / 1000, 'unixepoch')";
}

std::string counted(RequestState state) {
  return fmt::format("count(*) FILTER (WHERE state = {})", static_cast<std::int64_t>(state));
}

std::string query_sql(UsageQuery::By by) {
  return fmt::format(
      "SELECT {} AS part, (SELECT name FROM keys WHERE keys.id = key_id), {}, {}, {}, {}, "
      "sum(cache_hit_tokens), sum(cache_miss_tokens), sum(completion_tokens), "
      "sum(reasoning_tokens), sum(charge) "
      "FROM requests WHERE ended >= ? AND ended < ? GROUP BY part ORDER BY part",
      group_of(by), counted(RequestState::finished), counted(RequestState::cancelled),
      counted(RequestState::failed), counted(RequestState::interrupted));
}

UsageRow read_row(const Statement& row) {
  UsageRow read;
  read.group = row.text(0);
  read.key_name = row.text(1);
  read.finished = row.integer(2);
  read.cancelled = row.integer(3);
  read.failed = row.integer(4);
  read.interrupted = row.integer(5);
  read.usage = {row.integer(6), row.integer(7), row.integer(8), row.integer(9)};
  read.charge = Money::from_picos(row.integer(10));
  return read;
}

}  // namespace

void UsageRow::add(const UsageRow& other) {
  finished += other.finished;
  cancelled += other.cancelled;
  failed += other.failed;
  interrupted += other.interrupted;
  usage.cache_hit_tokens += other.usage.cache_hit_tokens;
  usage.cache_miss_tokens += other.usage.cache_miss_tokens;
  usage.completion_tokens += other.usage.completion_tokens;
  usage.reasoning_tokens += other.usage.reasoning_tokens;
  charge += other.charge;
}

UsageReport report_usage(const std::filesystem::path& file, const UsageQuery& query) {
  Database database = read_accounts_file(file);
  UsageReport report;
  database.prepare("SELECT value FROM settings WHERE name = 'currency'")
      .for_each([&](const Statement& row) { report.currency = row.text(0); });
  database.prepare("SELECT count(*) FROM requests WHERE state = 0")
      .for_each([&](const Statement& row) { report.open = row.integer(0); });
  const auto bound = [](std::optional<WallTime> time, std::int64_t otherwise) {
    return time ? milliseconds(*time) : otherwise;
  };
  database.prepare(query_sql(query.by))
      .for_each([&](const Statement& row) { report.rows.push_back(read_row(row)); },
                bound(query.from, std::numeric_limits<std::int64_t>::min()),
                bound(query.to, std::numeric_limits<std::int64_t>::max()));
  for (const UsageRow& row : report.rows) report.total.add(row);
  return report;
}

}  // namespace r1::serve
