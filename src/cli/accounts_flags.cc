#include "cli/accounts_flags.h"

#include <fmt/chrono.h>

#include <cstdio>

#include "base/error.h"
#include "serve/accounts/accounts_file.h"

namespace r1::cli {

void add_accounts_file(CLI::App& command, std::optional<std::string>& file) {
  command
      .add_option("--keys", file,
                  "File of keys and usage (default: R1_ACCOUNTS, or r1/accounts.db in the folder "
                  "for data).")
      ->type_name("FILE");
}

std::filesystem::path accounts_file(const std::optional<std::string>& file) {
  return file ? std::filesystem::path(*file) : serve::default_accounts_file();
}

serve::WallTime parse_time(const std::string& text, const std::string& flag) {
  namespace chrono = std::chrono;
  int year = 0, hour = 0, minute = 0, second = 0, end = 0;
  unsigned month = 0, day = 0;
  const auto reads = [&](const char* format) {
    end = 0;
    hour = minute = second = 0;
    std::sscanf(text.c_str(), format, &year, &month, &day, &end, &hour, &minute, &end, &second,
                &end);
    return end == static_cast<int>(text.size());
  };
  const bool read = reads("%4d-%2u-%2u%n") || reads("%4d-%2u-%2u%nT%2d:%2d%n") ||
                    reads("%4d-%2u-%2u%nT%2d:%2dZ%n") || reads("%4d-%2u-%2u%nT%2d:%2d%n:%2d%n") ||
                    reads("%4d-%2u-%2u%nT%2d:%2d%n:%2dZ%n");
  const chrono::year_month_day date{chrono::year(year), chrono::month(month), chrono::day(day)};
  const bool valid = read && date.ok() && year >= 1970 && hour >= 0 && hour < 24 && minute >= 0 &&
                     minute < 60 && second >= 0 && second < 60;
  if (!valid) {
    throw UsageError(flag, fmt::format("'{}' is not a time", text),
                     "write 2026-11-28 or 2026-11-28T10:15, in UTC");
  }
  return chrono::sys_days(date) + chrono::hours(hour) + chrono::minutes(minute) +
         chrono::seconds(second);
}

std::string format_time(serve::WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

}  // namespace r1::cli
