#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/progress.h"
#include "plot/svg.h"
#include "train/report.h"

namespace r1::train {
namespace {

constexpr const char* kStyle = R"css(
:root{--paper:#fff;--page:#f6f7f9;--text:#1c2128;--faint:#59636e;--edge:#e1e5ea;--good:#12875f;
--bad:#c4373c;--think:#6a7480}
@media (prefers-color-scheme:dark){:root{--paper:#12161c;--page:#0b0e12;--text:#e8ecf1;
--faint:#9aa5b1;--edge:#262d36;--good:#4fcf9f;--bad:#ff8085;--think:#8e99a6}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
main{max-width:1480px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:26px;margin:0}h2{font-size:18px;margin:40px 0 12px}h3{font-size:15px;margin:20px 0 8px}
.sub{color:var(--faint);margin:2px 0 20px}
.tiles{display:flex;flex-wrap:wrap;gap:12px;margin:8px 0 16px}
.tile{background:var(--paper);border:1px solid var(--edge);border-radius:10px;padding:10px 18px;
min-width:132px}
.tile b{display:block;font-size:22px;font-weight:650;font-variant-numeric:tabular-nums}
.tile span{color:var(--faint);font-size:13px}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:14px}
.charts svg{display:block;width:100%;height:auto;background:var(--paper);
border:1px solid var(--edge);border-radius:10px}
.scroll{overflow-x:auto;background:var(--paper);border:1px solid var(--edge);border-radius:10px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:6px 14px;text-align:right;border-top:1px solid var(--edge);white-space:nowrap}
th{color:var(--faint);font-weight:600;font-size:13px;border-top:0}
th:first-child,td:first-child{text-align:left}
tr.run td{background:var(--page);font-weight:600}
.samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,520px),1fr));gap:14px}
.sample{background:var(--paper);border:1px solid var(--edge);border-radius:10px;padding:14px 18px;
min-width:0}
.sample pre,details pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;
font:13px/1.55 ui-monospace,"DejaVu Sans Mono",monospace}
.prompt{color:var(--faint);padding-bottom:10px;margin-bottom:10px!important;
border-bottom:1px solid var(--edge)}
.think{color:var(--think)}
.badges{margin-top:12px;display:flex;flex-wrap:wrap;gap:8px;font-size:13px}
.badge{border:1px solid var(--edge);border-radius:99px;padding:1px 10px}
.good{color:var(--good);border-color:currentColor}.bad{color:var(--bad);border-color:currentColor}
details{background:var(--paper);border:1px solid var(--edge);border-radius:10px;padding:10px 18px;
margin-top:12px}
summary{cursor:pointer;font-weight:600}details pre{margin-top:10px}
)css";

// How a metric went. Ends are means over a twentieth of the points, at least one.
struct Span {
  double begin, end, low, high;
};

std::optional<Span> span_of(const LoggedMetric& metric) {
  std::vector<double> values;
  for (const plot::Point& p : metric.points) {
    if (std::isfinite(p.y)) values.push_back(p.y);
  }
  if (values.empty()) return std::nullopt;
  const std::size_t n = std::max<std::size_t>(1, values.size() / 20);
  Span span{0, 0, values[0], values[0]};
  for (std::size_t i = 0; i < n; ++i) {
    span.begin += values[i] / static_cast<double>(n);
    span.end += values[values.size() - n + i] / static_cast<double>(n);
  }
  for (const double v : values) {
    span.low = std::min(span.low, v);
    span.high = std::max(span.high, v);
  }
  return span;
}

std::string tile(std::string_view value, std::string_view name) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n",
                     plot::escape_xml(value), plot::escape_xml(name));
}

std::string tiles(const LoggedRun& run) {
  std::string html = "<div class=\"tiles\">\n" + tile(fmt::format("{}", run.last_step()), "steps");
  if (run.seconds) html += tile(format_duration(*run.seconds), "training time");
  struct Shown {
    std::string_view metric;
    std::string_view name;
    bool percent = false;
  };
  constexpr Shown kShown[] = {
      {"num_tokens", "tokens"},
      {"eval/accuracy", "held-out accuracy", true},
      {"eval_accuracy", "held-out accuracy", true},
      {"eval/pass@1", "held-out pass@1", true},
      {"rewards/accuracy/mean", "accuracy of rollouts", true},
      {"rewards/format/mean", "format reward"},
      {"completions/mean_length", "tokens per answer"},
      {"entropy", "entropy"},
      {"loss", "loss"},
  };
  for (const Shown& shown : kShown) {
    const LoggedMetric* metric = run.find(shown.metric);
    const auto span = metric ? span_of(*metric) : std::nullopt;
    if (!span) continue;
    // Tokens are counted, so the last count is the number; the others are noisy.
    const double value = shown.metric == "num_tokens" ? span->high : span->end;
    html += tile(shown.percent ? fmt::format("{:.1f}%", 100 * value) : plot::short_number(value),
                 shown.name);
  }
  return html + "</div>\n";
}

std::string numbers_table(std::span<const LoggedRun> runs) {
  std::string html =
      "<div class=\"scroll\"><table>\n<tr><th>metric</th><th>begin</th><th>end</th>"
      "<th>lowest</th><th>highest</th></tr>\n";
  for (const LoggedRun& run : runs) {
    if (runs.size() > 1) {
      html += fmt::format("<tr class=\"run\"><td colspan=\"5\">{}</td></tr>\n",
                          plot::escape_xml(run.name));
    }
    for (const LoggedMetric& metric : run.metrics) {
      const auto span = span_of(metric);
      if (!span) continue;
      html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                          plot::escape_xml(metric.name), plot::short_number(span->begin, 4),
                          plot::short_number(span->end, 4), plot::short_number(span->low, 4),
                          plot::short_number(span->high, 4));
    }
  }
  return html + "</table></div>\n";
}

// The completion with its thinking, up to and with the closing tag, set apart.
std::string completion_html(std::string_view text) {
  constexpr std::string_view kClose = "</think>";
  const std::size_t close = text.find(kClose);
  if (close == std::string_view::npos) return plot::escape_xml(text);
  const std::size_t end = close + kClose.size();
  return fmt::format("<span class=\"think\">{}</span>{}", plot::escape_xml(text.substr(0, end)),
                     plot::escape_xml(text.substr(end)));
}

std::string samples(const LoggedRun& run) {
  std::string html;
  std::optional<std::int64_t> step;
  for (const LoggedCompletion& sample : run.completions) {
    if (sample.step != step) {
      html += fmt::format("{}<h3>Step {}</h3>\n<div class=\"samples\">\n", step ? "</div>\n" : "",
                          sample.step);
      step = sample.step;
    }
    html += fmt::format(
        "<div class=\"sample\"><pre class=\"prompt\">{}</pre>\n<pre>{}</pre>\n"
        "<div class=\"badges\">",
        plot::escape_xml(sample.prompt), completion_html(sample.completion));
    for (const auto& [name, value] : sample.rewards) {
      html += fmt::format("<span class=\"badge {}\">{} {}</span>", value > 0 ? "good" : "bad",
                          plot::escape_xml(name), plot::short_number(value));
    }
    html += fmt::format("<span class=\"badge\">advantage {:+.2f}</span></div></div>\n",
                        sample.advantage);
  }
  return step ? html + "</div>\n" : html;
}

}  // namespace

std::string report_html(std::span<const LoggedRun> runs) {
  R1_CHECK(!runs.empty(), "a report of nothing");
  std::string names;
  for (const LoggedRun& run : runs) names += (names.empty() ? "" : ", ") + run.name;
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>{0}: training report</title>\n"
      "<style>{1}{2}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n"
      "<p class=\"sub\">Training report. Faint lines are what was logged, bold ones a moving "
      "average.</p>\n",
      plot::escape_xml(names), kStyle, plot::svg_style());
  for (const LoggedRun& run : runs) {
    if (runs.size() > 1) html += fmt::format("<h3>{}</h3>\n", plot::escape_xml(run.name));
    html += tiles(run);
  }
  html += "<div class=\"charts\">\n";
  for (const plot::Panel& panel : report_panels(runs)) html += plot::svg_panel(panel);
  html += "</div>\n<h2>Numbers</h2>\n" + numbers_table(runs);
  html += "<p class=\"sub\">Begin and end are means over the first and last twentieth.</p>\n";
  for (const LoggedRun& run : runs) {
    if (run.completions.empty()) continue;
    html += fmt::format("<h2>Sample completions{}</h2>\n{}",
                        runs.size() > 1 ? plot::escape_xml(" of " + run.name) : "", samples(run));
  }
  for (const LoggedRun& run : runs) {
    if (run.recipe.empty()) continue;
    html += fmt::format("<details><summary>Recipe{}</summary><pre>{}</pre></details>\n",
                        runs.size() > 1 ? plot::escape_xml(" of " + run.name) : "",
                        plot::escape_xml(run.recipe));
  }
  return html + "</main>\n</body>\n</html>\n";
}

}  // namespace r1::train
