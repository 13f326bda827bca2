#include "train/metrics.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace r1::train {
namespace {

using nlohmann::ordered_json;

// The text of a model may end in the middle of a character; such bytes become U+FFFD.
std::string dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// Prepares the run's files before they are opened for appending.
const RunDirectory& prepared(const RunDirectory& run, std::optional<std::int64_t> last_step) {
  run.create();
  const std::int64_t keep = last_step.value_or(std::numeric_limits<std::int64_t>::min());
  keep_lines_up_to(run.metrics(), keep);
  keep_lines_up_to(run.timing(), keep);
  keep_lines_up_to(run.completions(), keep);
  keep_events_up_to(run.events(), keep);
  return run;
}

// Text inside a cell of a Markdown table.
std::string markdown_cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '\n') {
      cell += "<br>";
    } else if (c == '<') {
      cell += "&lt;";
    } else if (c == '|') {
      cell += "\\|";
    } else {
      cell += c;
    }
  }
  return cell;
}

std::string markdown_table(std::span<const SampleCompletion> samples) {
  std::string head = "| prompt | completion |", rule = "| --- | --- |", body;
  for (const Metric& reward : samples.front().rewards) {
    head += fmt::format(" {} |", reward.name);
    rule += " --- |";
  }
  for (const SampleCompletion& sample : samples) {
    body +=
        fmt::format("| {} | {} |", markdown_cell(sample.prompt), markdown_cell(sample.completion));
    for (const Metric& reward : sample.rewards) body += fmt::format(" {} |", reward.as_double());
    body += fmt::format(" {:.3f} |\n", sample.advantage);
  }
  return fmt::format("{} advantage |\n{} --- |\n{}", head, rule, body);
}

}  // namespace

double Metric::as_double() const {
  return std::visit([](auto v) { return static_cast<double>(v); }, value);
}

std::string Metric::json() const {
  if (!std::isfinite(as_double())) return "null";
  return std::visit([](auto v) { return fmt::format("{}", v); }, value);
}

double wall_clock() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

MetricsWriter::MetricsWriter(const RunDirectory& run, std::optional<std::int64_t> last_step,
                             std::function<double()> clock)
    : clock_(std::move(clock)),
      metrics_(prepared(run, last_step).metrics()),
      timing_(run.timing()),
      completions_(run.completions()),
      events_(run.events(), clock_()) {}

void MetricsWriter::log(std::int64_t step, std::span<const Metric> metrics) {
  log_to(metrics_, step, metrics);
}

void MetricsWriter::log_timing(std::int64_t step, std::span<const Metric> metrics) {
  log_to(timing_, step, metrics);
}

void MetricsWriter::log_to(AppendFile& file, std::int64_t step, std::span<const Metric> metrics) {
  std::string row = fmt::format("{{\"step\":{}", step);
  std::vector<std::pair<std::string, float>> scalars;
  for (const Metric& metric : metrics) {
    row += fmt::format(",{}:{}", dump(metric.name), metric.json());
    scalars.emplace_back(metric.name, static_cast<float>(metric.as_double()));
  }
  file.append(row + "}\n");
  events_.append(scalar_event(clock_(), step, scalars));
}

void MetricsWriter::log_completions(std::int64_t step, std::span<const SampleCompletion> samples) {
  if (samples.empty()) return;
  std::string rows;
  for (const SampleCompletion& sample : samples) {
    std::string rewards;
    for (const Metric& reward : sample.rewards) {
      rewards +=
          fmt::format("{}{}:{}", rewards.empty() ? "" : ",", dump(reward.name), reward.json());
    }
    rows += fmt::format(
        "{{\"step\":{},\"prompt\":{},\"completion\":{},\"rewards\":{{{}}},\"advantage\":{}}}\n",
        step, dump(sample.prompt), dump(sample.completion), rewards,
        Metric("", sample.advantage).json());
  }
  completions_.append(rows);
  events_.append(text_event(clock_(), step, "completions", markdown_table(samples)));
}

void MetricsWriter::sync() {
  metrics_.sync();
  timing_.sync();
  completions_.sync();
  events_.sync();
}

}  // namespace r1::train
