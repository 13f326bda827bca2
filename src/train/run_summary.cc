#include "train/run_summary.h"

#include <sys/resource.h>

#include "base/progress.h"

namespace r1::train {
namespace {

std::string millions(std::int64_t count) {
  return fmt::format("{:.2f} M", static_cast<double>(count) / 1e6);
}

}  // namespace

std::string to_line(const RunSummary& summary) {
  std::string line =
      fmt::format("{}: {} parameters ({} active per token", summary.stage,
                  millions(summary.parameters.total), millions(summary.parameters.active));
  if (summary.parameters.multi_token_prediction > 0) {
    line += fmt::format("; {} more in prediction modules",
                        millions(summary.parameters.multi_token_prediction));
  }
  line += fmt::format("), {:.0f} MB memory", static_cast<double>(summary.memory_bytes) / 1e6);
  if (summary.tokens > 0) line += fmt::format(", {} tokens", millions(summary.tokens));
  line += fmt::format(" in {} steps, about {} on {} threads ({})", summary.steps,
                      format_duration(summary.seconds), summary.threads, summary.isa);
  return line;
}

std::int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

}  // namespace r1::train
