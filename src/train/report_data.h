#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plot/line_chart.h"

namespace r1::train {

// What a report refuses beyond.
inline constexpr std::size_t kMaxReportBytes = std::size_t{1} << 30;  // of one JSONL file
inline constexpr std::size_t kMaxReportLine = std::size_t{1} << 20;
inline constexpr std::size_t kMaxReportMetrics = 500;  // names in one run

struct LoggedMetric {
  std::string name;
  std::vector<plot::Point> points;  // x = step, y = value, NaN where null was logged
};

struct LoggedCompletion {
  std::int64_t step = 0;
  std::string prompt;
  std::string completion;
  std::vector<std::pair<std::string, double>> rewards;
  double advantage = 0;
};

// What one run left in its directory.
struct LoggedRun {
  std::string name;                           // the directory's
  std::vector<LoggedMetric> metrics;          // in order of first mention
  std::vector<LoggedCompletion> completions;  // of the first, middle and last logged steps
  std::optional<double> seconds;              // sum of step_time, if logged
  std::string recipe;                         // the resolved recipe; empty if there is none

  const LoggedMetric* find(std::string_view metric) const;
  std::int64_t last_step() const;
};

// Throws Error naming file and line. A last line without its newline is still being written and
// is left out.
LoggedRun read_run(const std::filesystem::path& directory);

}  // namespace r1::train
