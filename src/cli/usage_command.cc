#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/accounts_flags.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/terminal.h"
#include "serve/accounts/usage_report.h"

namespace r1::cli {
namespace {

using Json = nlohmann::ordered_json;
using serve::UsageQuery;
using serve::UsageReport;
using serve::UsageRow;

struct Options {
  std::optional<std::string> file, from, to;
  UsageQuery::By by = UsageQuery::By::key;
  bool json = false;
};

const char* name_of(UsageQuery::By by) {
  switch (by) {
    case UsageQuery::By::key:
      return "key";
    case UsageQuery::By::model:
      return "model";
    case UsageQuery::By::day:
      break;
  }
  return "day";
}

Json to_json(const UsageRow& row) {
  return {{"requests", row.requests()},
          {"finished", row.finished},
          {"cancelled", row.cancelled},
          {"failed", row.failed},
          {"interrupted", row.interrupted},
          {"prompt_tokens", row.usage.prompt_tokens()},
          {"cache_hit_tokens", row.usage.cache_hit_tokens},
          {"cache_miss_tokens", row.usage.cache_miss_tokens},
          {"completion_tokens", row.usage.completion_tokens},
          {"reasoning_tokens", row.usage.reasoning_tokens},
          {"charge", row.charge.exact()}};
}

void print_json(const UsageReport& report, UsageQuery::By by) {
  Json rows = Json::array();
  for (const UsageRow& row : report.rows) {
    Json object = {{name_of(by), row.group}};
    if (by == UsageQuery::By::key) object["name"] = row.key_name;
    object.update(to_json(row));
    rows.push_back(std::move(object));
  }
  const Json object = {{"currency", report.currency},
                       {"open_requests", report.open},
                       {"rows", std::move(rows)},
                       {"total", to_json(report.total)}};
  show(object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string label_of(const UsageRow& row, UsageQuery::By by) {
  if (by != UsageQuery::By::key) return printable(row.group);
  if (row.group.empty()) return "(without key)";
  return row.key_name.empty() ? row.group
                              : fmt::format("{} {}", printable(row.key_name), row.group);
}

void print_table(const UsageReport& report, UsageQuery::By by) {
  std::size_t width = 5;
  for (const UsageRow& row : report.rows) width = std::max(width, label_of(row, by).size());
  fmt::print("{:<{}}  {:>8}  {:>12}  {:>12}  {:>12}  {:>13}  {:>14}\n", name_of(by), width,
             "requests", "cache hits", "misses", "output", "of it thought",
             fmt::format("charge ({})", report.currency));
  const auto print = [&](const std::string& label, const UsageRow& row) {
    fmt::print("{:<{}}  {:>8}  {:>12}  {:>12}  {:>12}  {:>13}  {:>14}\n", label, width,
               row.requests(), row.usage.cache_hit_tokens, row.usage.cache_miss_tokens,
               row.usage.completion_tokens, row.usage.reasoning_tokens, row.charge.exact());
  };
  for (const UsageRow& row : report.rows) print(label_of(row, by), row);
  print("total", report.total);
  const UsageRow& total = report.total;
  if (total.finished != total.requests()) {
    fmt::print("of these {} cancelled, {} failed, {} interrupted\n", total.cancelled, total.failed,
               total.interrupted);
  }
}

void run(const Options& options) {
  UsageQuery query;
  query.by = options.by;
  if (options.from) query.from = parse_time(*options.from, "--from");
  if (options.to) query.to = parse_time(*options.to, "--to");
  const UsageReport report = serve::report_usage(accounts_file(options.file), query);
  if (options.json) {
    print_json(report, options.by);
  } else if (report.rows.empty()) {
    fmt::print(stderr, "no requests in that time\n");
  } else {
    print_table(report, options.by);
  }
}

}  // namespace

void add_usage(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("usage", "Report what keys used and owe.")->group(kServeGroup);
  const auto options = std::make_shared<Options>();
  add_accounts_file(command, options->file);
  add_choice<UsageQuery::By>(command, "--by", options->by,
                             {{"key", UsageQuery::By::key},
                              {"model", UsageQuery::By::model},
                              {"day", UsageQuery::By::day}},
                             "Sum by key, model or day (in UTC); default key.")
      ->type_name("PART");
  command.add_option("--from", options->from, "Requests that ended from then on.")
      ->type_name("TIME");
  command.add_option("--to", options->to, "Requests that ended before then.")->type_name("TIME");
  add_json(command, options->json);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
