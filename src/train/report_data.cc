#include "train/report_data.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "formats/yaml.h"
#include "train/run_directory.h"

namespace r1::train {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kSampledSteps = 3;  // of which completions are shown
constexpr std::size_t kSamplesPerStep = 4;

// Calls `use(step, row)` for each line; a missing file has no lines.
void for_each_row(const std::filesystem::path& path,
                  const std::function<void(std::int64_t, const ordered_json&)>& use) {
  if (!std::filesystem::exists(path)) return;
  const MappedFile file(path);
  if (file.bytes().size() > kMaxReportBytes) {
    throw Error(path.string(),
                fmt::format("{} bytes are too many for a report", file.bytes().size()));
  }
  std::string_view rest(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return;
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    const auto fail = [&](std::string_view what) {
      throw Error(fmt::format("{}:{}", path.string(), number), what);
    };
    if (line.size() > kMaxReportLine) fail("the line is too long");
    // Rows are flat apart from the rewards; dropping what lies deeper bounds the tree.
    const auto shallow = [](int depth, ordered_json::parse_event_t, ordered_json&) {
      return depth <= 3;
    };
    const auto row = ordered_json::parse(line, shallow, /*allow_exceptions=*/false);
    if (!row.is_object()) fail("not a JSON object");
    const auto step = row.find("step");
    if (step == row.end() || !step->is_number_integer()) fail("no integer \"step\"");
    use(step->get<std::int64_t>(), row);
  }
}

void read_metrics(const std::filesystem::path& path, std::vector<LoggedMetric>& metrics) {
  for_each_row(path, [&](std::int64_t step, const ordered_json& row) {
    for (const auto& [name, value] : row.items()) {
      if (name == "step" || !(value.is_number() || value.is_null())) continue;
      auto metric = std::ranges::find(metrics, name, &LoggedMetric::name);
      if (metric == metrics.end()) {
        if (metrics.size() >= kMaxReportMetrics) {
          throw Error(path.string(), fmt::format("more than {} metrics", kMaxReportMetrics));
        }
        metric = metrics.insert(metrics.end(), {name, {}});
      }
      metric->points.push_back(
          {static_cast<double>(step),
           value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>()});
    }
  });
}

// The first, the middle and the last of the logged steps.
std::set<std::int64_t> sampled_steps(const std::filesystem::path& path) {
  std::vector<std::int64_t> all;
  for_each_row(path, [&](std::int64_t step, const ordered_json&) {
    if (all.empty() || all.back() != step) all.push_back(step);
  });
  std::set<std::int64_t> chosen;
  for (std::size_t i = 0; i < kSampledSteps && !all.empty(); ++i) {
    chosen.insert(all[(all.size() - 1) * i / (kSampledSteps - 1)]);
  }
  return chosen;
}

std::vector<LoggedCompletion> read_completions(const std::filesystem::path& path) {
  const std::set<std::int64_t> steps = sampled_steps(path);
  std::vector<LoggedCompletion> completions;
  const auto text = [](const ordered_json& row, const char* key) {
    const auto value = row.find(key);
    return value != row.end() && value->is_string() ? value->get<std::string>() : std::string();
  };
  for_each_row(path, [&](std::int64_t step, const ordered_json& row) {
    if (!steps.contains(step) || std::ranges::count(completions, step, &LoggedCompletion::step) >=
                                     static_cast<std::ptrdiff_t>(kSamplesPerStep)) {
      return;
    }
    LoggedCompletion sample{step, text(row, "prompt"), text(row, "completion"), {}, 0};
    const auto rewards = row.find("rewards");
    if (rewards != row.end() && rewards->is_object()) {
      for (const auto& [name, value] : rewards->items()) {
        if (value.is_number()) sample.rewards.emplace_back(name, value.get<double>());
      }
    }
    const auto advantage = row.find("advantage");
    if (advantage != row.end() && advantage->is_number()) {
      sample.advantage = advantage->get<double>();
    }
    completions.push_back(std::move(sample));
  });
  return completions;
}

}  // namespace

const LoggedMetric* LoggedRun::find(std::string_view metric) const {
  const auto found = std::ranges::find(metrics, metric, &LoggedMetric::name);
  return found == metrics.end() ? nullptr : &*found;
}

std::int64_t LoggedRun::last_step() const {
  double last = 0;
  for (const LoggedMetric& metric : metrics) last = std::max(last, metric.points.back().x);
  return static_cast<std::int64_t>(last);
}

LoggedRun read_run(const std::filesystem::path& directory) {
  const RunDirectory files(directory);
  if (!std::filesystem::exists(files.metrics())) {
    throw Error(directory.string(), "there is no metrics.jsonl, so this is not a training run",
                "give the output_dir of a run");
  }
  LoggedRun run;
  const auto whole = std::filesystem::absolute(directory).lexically_normal();
  run.name = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  read_metrics(files.metrics(), run.metrics);
  run.completions = read_completions(files.completions());

  std::vector<LoggedMetric> timing;
  read_metrics(files.timing(), timing);
  const auto step_time = std::ranges::find(timing, "step_time", &LoggedMetric::name);
  if (step_time != timing.end()) {
    run.seconds = 0;
    for (const plot::Point& p : step_time->points) *run.seconds += p.y;
  }
  if (std::filesystem::exists(files.recipe())) {
    run.recipe = read_text_file(files.recipe(), kMaxYamlBytes);
  }
  return run;
}

}  // namespace r1::train
