#include "train/report.h"

#include <algorithm>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/file.h"

namespace r1::train {
namespace {

struct Line {
  std::string_view metric;
  std::string_view label;
  bool exact = false;
};

struct Chart {
  std::string_view title;
  std::vector<Line> lines;
  bool from_zero = false;
  bool unit = false;
};

// What is drawn first, in this order; a chart of which a run logged nothing is left out.
const std::vector<Chart>& known_charts() {
  static const std::vector<Chart> kCharts = {
      {"Accuracy",
       {{"eval/accuracy", "held-out", true},
        {"eval_accuracy", "held-out", true},
        {"eval/pass@1", "held-out pass@1", true},
        {"rewards/accuracy/mean", "training rollouts"}},
       true,
       true},
      {"Response length (tokens)",
       {{"completions/mean_length", "all"}, {"completions/mean_terminated_length", "finished"}},
       true},
      {"Entropy (nats per token)", {{"entropy", "entropy"}}, true},
      {"Reward",
       {{"reward", "total"}, {"rewards/format/mean", "format"}, {"reward_std", "std in a group"}},
       true},
      {"Loss",
       {{"loss", "loss"},
        {"lm_loss", "next token"},
        {"mtp_loss", "multi-token"},
        {"eval/loss", "held-out", true},
        {"eval_loss", "held-out", true}}},
      {"KL to the reference", {{"kl", "KL"}}, true},
      {"Clipped tokens (fraction)",
       {{"clip_ratio/region_mean", "either side"},
        {"clip_ratio/low_mean", "low"},
        {"clip_ratio/high_mean", "high"}},
       true},
      {"Groups without signal (fraction)",
       {{"frac_reward_zero_std", "all rewards equal"}},
       true,
       true},
      {"Truncated completions (fraction)", {{"completions/clipped_ratio", "truncated"}}, true},
      {"Longest and shortest response (tokens)",
       {{"completions/max_length", "longest"}, {"completions/min_length", "shortest"}},
       true},
      {"Gradient norm", {{"grad_norm", "norm"}}, true},
      {"Learning rate", {{"learning_rate", "rate", true}}, true},
  };
  return kCharts;
}

// Adds the line of every run that logged the metric. Distinct runs must be told apart first, so
// they get the colours, and the lines of one run differ by dashes.
// `alone`: the panel shows this metric only.
void add_lines(plot::Panel& panel, std::span<const LoggedRun> runs, const Line& line, bool alone) {
  const bool several = runs.size() > 1;
  const std::size_t nth = several ? 0 : panel.series.size();
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const LoggedMetric* metric = runs[r].find(line.metric);
    if (metric == nullptr) continue;
    plot::Series series;
    series.label = line.label;
    if (several) {
      series.label = alone ? runs[r].name : fmt::format("{} · {}", runs[r].name, line.label);
    }
    series.points = metric->points;
    series.exact = line.exact;
    series.color = several ? r : nth;
    series.dashed = several && std::ranges::any_of(panel.series, [&](const plot::Series& s) {
                      return s.color == r;
                    });
    panel.series.push_back(std::move(series));
  }
}

}  // namespace

std::vector<plot::Panel> report_panels(std::span<const LoggedRun> runs) {
  std::vector<plot::Panel> panels;
  std::set<std::string_view> drawn = {"num_tokens", "epoch"};  // straight lines say nothing
  for (const Chart& chart : known_charts()) {
    plot::Panel panel{std::string(chart.title), "step", {}, chart.from_zero, chart.unit};
    const auto logged = [&](const Line& line) {
      return std::ranges::any_of(
          runs, [&](const LoggedRun& run) { return run.find(line.metric) != nullptr; });
    };
    const bool alone = std::ranges::count_if(chart.lines, logged) == 1;
    // With several runs a chart takes two metrics; others get one of their own below.
    std::size_t room = runs.size() > 1 ? 2 : chart.lines.size();
    for (const Line& line : chart.lines) {
      if (!logged(line) || room == 0) continue;
      --room;
      add_lines(panel, runs, line, alone);
      drawn.insert(line.metric);
    }
    if (!panel.series.empty()) panels.push_back(std::move(panel));
  }
  for (const LoggedRun& run : runs) {
    for (const LoggedMetric& metric : run.metrics) {
      if (!drawn.insert(metric.name).second) continue;
      plot::Panel panel{metric.name, "step", {}};
      add_lines(panel, runs, {metric.name, metric.name}, true);
      panels.push_back(std::move(panel));
    }
  }
  return panels;
}

std::vector<std::filesystem::path> write_report(std::span<const std::filesystem::path> runs,
                                                const std::filesystem::path& out) {
  if (runs.empty()) throw UsageError("report", "no run given", "name the output_dir of a run");
  std::vector<LoggedRun> logged;
  for (const std::filesystem::path& run : runs) logged.push_back(read_run(run));
  // Runs of the same name go by their paths.
  std::multiset<std::string> names;
  for (const LoggedRun& run : logged) names.insert(run.name);
  for (std::size_t i = 0; i < logged.size(); ++i) {
    if (names.count(logged[i].name) > 1) logged[i].name = runs[i].string();
  }

  std::error_code error;
  std::filesystem::create_directories(out, error);
  if (error) {
    throw Error(out.string(), fmt::format("cannot make the directory: {}", error.message()));
  }
  const std::vector<plot::Panel> panels = report_panels(logged);
  const std::span<const plot::Panel> all(panels);
  const std::vector<std::filesystem::path> files = {out / "report.html", out / "summary.svg",
                                                    out / "curves.svg"};
  constexpr std::size_t kColumns = 3;
  write_file_atomically(files[0], std::string_view(report_html(logged)));
  write_file_atomically(files[1], std::string_view(plot::svg_figure(
                                      all.first(std::min(kColumns, panels.size())), kColumns)));
  write_file_atomically(files[2], std::string_view(plot::svg_figure(all, kColumns)));
  return files;
}

}  // namespace r1::train
