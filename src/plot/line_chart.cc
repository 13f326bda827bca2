#include "plot/line_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/progress_text.h"
#include "plot/svg.h"

namespace r1::plot {
namespace {

// Sizes of one panel in SVG user units.
constexpr double kWidth = 460, kHeight = 300;
constexpr double kLeft = 52, kRight = 18, kBottom = 44;
constexpr double kTitleBaseline = 26, kLegendTop = 36, kLegendLine = 18, kPlotGap = 12;
constexpr double kGap = 12;  // between panels of a figure

// Beyond this many points per line a raw line is drawn by its extremes per bucket.
constexpr std::size_t kMaxDrawn = 1200;
constexpr std::size_t kMinSmoothed = 20;

// Values beyond this are as good as infinite to a chart, and their differences stay finite.
bool drawable(double y) { return std::abs(y) <= 1e100; }

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double v) {
    if (!drawable(v)) return;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  bool empty() const { return low > high; }
};

// What a number axis shows; never of zero length.
struct Axis {
  Range range;
  std::vector<double> ticks;
};

Axis x_axis(const Panel& panel) {
  Range r;
  for (const Series& s : panel.series) {
    for (const Point& p : s.points) r.include(p.x);
  }
  if (r.empty()) r = {0, 1};
  r.low = std::min(r.low, 0.0);
  if (r.high <= r.low) r.high = r.low + 1;
  return {r, nice_ticks(r.low, r.high, 6)};
}

Axis y_axis(const Panel& panel) {
  Range r;
  for (const Series& s : panel.series) {
    for (const Point& p : s.points) r.include(p.y);
  }
  if (r.empty()) r = {0, 1};
  if (panel.unit) {
    r.include(0);
    r.include(1);
    return {r, nice_ticks(r.low, r.high, 5)};
  }
  if (panel.from_zero) r.include(0);
  double length = r.high - r.low;
  // A constant gets room in its own order of magnitude.
  if (!(length > 0)) length = r.high == 0 ? 1 : std::abs(r.high) * 0.5;
  if (!(panel.from_zero && r.low == 0)) r.low -= length * 0.06;
  r.high += length * 0.06;
  return {r, nice_ticks(r.low, r.high, 5)};
}

// Tick labels share their decimals, so that a column of them lines up.
std::vector<std::string> tick_labels(const std::vector<double>& ticks) {
  double largest = 0;
  for (const double t : ticks) largest = std::max(largest, std::abs(t));
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  std::vector<std::string> labels;
  const double scale = largest >= 1e9 ? 1e9 : largest >= 1e6 ? 1e6 : largest >= 1e4 ? 1e3 : 1;
  const char* suffix = scale == 1e9 ? "G" : scale == 1e6 ? "M" : scale == 1e3 ? "k" : "";
  const double exponent = std::floor(std::log10(step / scale) + 1e-9);
  for (const double t : ticks) {
    if (t == 0) {
      labels.emplace_back("0");
    } else if (largest < 1e-3 || largest >= 1e12) {
      const double power = std::floor(std::log10(step) + 1e-9);
      labels.push_back(fmt::format("{:.0f}e{:.0f}", t / std::pow(10.0, power), power));
    } else {
      labels.push_back(
          fmt::format("{:.{}f}{}", t / scale, static_cast<int>(std::max(0.0, -exponent)), suffix));
    }
  }
  return labels;
}

// Keeps the shape of a long raw line: of each bucket its first, lowest and highest point.
std::vector<Point> thinned(std::span<const Point> points) {
  if (points.size() <= kMaxDrawn) return {points.begin(), points.end()};
  const std::size_t buckets = kMaxDrawn / 3;
  std::vector<Point> kept;
  for (std::size_t b = 0; b < buckets; ++b) {
    const std::size_t begin = points.size() * b / buckets;
    const std::size_t end = points.size() * (b + 1) / buckets;
    std::array<std::size_t, 3> chosen = {begin, begin, begin};
    for (std::size_t i = begin; i < end; ++i) {
      if (points[i].y < points[chosen[1]].y) chosen[1] = i;
      if (points[i].y > points[chosen[2]].y) chosen[2] = i;
    }
    std::ranges::sort(chosen);
    for (std::size_t k = 0; k < chosen.size(); ++k) {
      if (k == 0 || chosen[k] != chosen[k - 1]) kept.push_back(points[chosen[k]]);
    }
  }
  kept.push_back(points.back());
  return kept;
}

// Where a panel's plot lies and how values map into it.
struct Frame {
  double top;
  Range x;
  Range y;

  double bottom() const { return kHeight - kBottom; }
  double at_x(double v) const {
    return kLeft + (v - x.low) / (x.high - x.low) * (kWidth - kLeft - kRight);
  }
  double at_y(double v) const {
    return bottom() - (v - y.low) / (y.high - y.low) * (bottom() - top);
  }
};

std::string path_of(std::span<const Point> points, const Frame& frame) {
  std::string path;
  bool pen_down = false;
  for (const Point& p : points) {
    if (!drawable(p.y)) {
      pen_down = false;
      continue;
    }
    path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", frame.at_x(p.x), frame.at_y(p.y));
    pen_down = true;
  }
  return path;
}

const Point* last_drawable(std::span<const Point> points) {
  for (std::size_t i = points.size(); i > 0; --i) {
    if (drawable(points[i - 1].y)) return &points[i - 1];
  }
  return nullptr;
}

struct LegendEntry {
  std::string label;
  std::string value;
  std::size_t color;
  bool dashed;
  double x = 0;
  std::size_t line = 0;
};

// Places the entries in lines; returns the number of lines.
std::size_t lay_out(std::vector<LegendEntry>& entries) {
  constexpr double kSwatch = 24, kSpace = 16;
  double x = kLeft;
  std::size_t line = 0;
  for (LegendEntry& e : entries) {
    const auto letters = static_cast<double>(display_width(e.label) + display_width(e.value) + 1);
    const double width = kSwatch + letters * kSvgLetter * kSvgFont;
    if (x > kLeft && x + width > kWidth - kRight) {
      x = kLeft;
      ++line;
    }
    e.x = x;
    e.line = line;
    x += width + kSpace;
  }
  return entries.empty() ? 0 : line + 1;
}

std::string panel_content(const Panel& panel) {
  constexpr std::size_t kMaxLabel = 44;
  const Axis x = x_axis(panel), y = y_axis(panel);
  std::vector<std::vector<Point>> lines;
  std::vector<LegendEntry> legend;
  for (const Series& s : panel.series) {
    lines.push_back(s.exact ? s.points : smoothed(s.points));
    const Point* last = last_drawable(lines.back());
    legend.push_back({fit_to_width(s.label, kMaxLabel), last ? short_number(last->y) : "–",
                      s.color % kSvgColors, s.dashed});
  }
  // A single line is named by the title; its value stands opposite.
  const bool single = panel.series.size() == 1;
  const std::size_t legend_lines = single ? 0 : lay_out(legend);
  const Frame frame{kLegendTop + kLegendLine * static_cast<double>(legend_lines) + kPlotGap,
                    x.range, y.range};

  std::string svg = fmt::format("<text class=\"title\" x=\"{}\" y=\"{}\">{}</text>\n", kLeft,
                                kTitleBaseline, escape_xml(panel.title));
  if (single) {
    svg += fmt::format("<text class=\"value t{}\" x=\"{}\" y=\"{}\">{}</text>\n", legend[0].color,
                       kWidth - kRight, kTitleBaseline, legend[0].value);
  }
  for (std::size_t i = 0; i < legend.size() && !single; ++i) {
    const LegendEntry& e = legend[i];
    const double middle = kLegendTop + kLegendLine * (static_cast<double>(e.line) + 0.5);
    svg += fmt::format("<path class=\"line c{}{}\" d=\"M{:.1f} {:.1f}h18\"/>\n", e.color,
                       e.dashed ? " dashed" : "", e.x, middle);
    svg += fmt::format(
        "<text class=\"legend\" x=\"{:.1f}\" y=\"{:.1f}\">{} <tspan class=\"strong\">{}</tspan>"
        "</text>\n",
        e.x + 24, middle + 4, escape_xml(e.label), e.value);
  }

  const std::vector<std::string> y_labels = tick_labels(y.ticks), x_labels = tick_labels(x.ticks);
  for (std::size_t i = 0; i < y.ticks.size(); ++i) {
    const double at = frame.at_y(y.ticks[i]);
    svg += fmt::format("<path class=\"grid\" d=\"M{} {:.1f}H{}\"/>\n", kLeft, at, kWidth - kRight);
    svg += fmt::format("<text class=\"tick end\" x=\"{}\" y=\"{:.1f}\">{}</text>\n", kLeft - 8,
                       at + 4, y_labels[i]);
  }
  svg += fmt::format("<path class=\"axis\" d=\"M{} {:.1f}H{}\"/>\n", kLeft, frame.bottom(),
                     kWidth - kRight);
  for (std::size_t i = 0; i < x.ticks.size(); ++i) {
    const double at = frame.at_x(x.ticks[i]);
    svg += fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}v4\"/>\n", at, frame.bottom());
    svg += fmt::format("<text class=\"tick middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", at,
                       frame.bottom() + 18, x_labels[i]);
  }
  svg += fmt::format("<text class=\"tick middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                     (kLeft + kWidth - kRight) / 2, kHeight - 8, escape_xml(panel.x_label));

  // All raw lines lie below all smoothed ones.
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i] == panel.series[i].points) continue;
    svg += fmt::format("<path class=\"raw c{}\" d=\"{}\"/>\n", legend[i].color,
                       path_of(thinned(panel.series[i].points), frame));
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    svg += fmt::format("<path class=\"line c{}{}\" d=\"{}\"/>\n", legend[i].color,
                       legend[i].dashed ? " dashed" : "", path_of(thinned(lines[i]), frame));
    if (const Point* last = last_drawable(lines[i])) {
      svg += fmt::format("<circle class=\"dot d{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>\n",
                         legend[i].color, frame.at_x(last->x), frame.at_y(last->y));
    }
  }
  return svg;
}

}  // namespace

std::string svg_panel(const Panel& panel) {
  return fmt::format(
      "<svg class=\"plot\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n",
      kWidth, kHeight, escape_xml(panel.title), panel_content(panel));
}

std::string svg_figure(std::span<const Panel> panels, std::size_t columns) {
  columns = std::clamp<std::size_t>(columns, 1, std::max<std::size_t>(panels.size(), 1));
  const std::size_t rows = (panels.size() + columns - 1) / columns;
  const double width = static_cast<double>(columns) * (kWidth + kGap) + kGap;
  const double height = static_cast<double>(rows) * (kHeight + kGap) + kGap;
  std::string content;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    content += fmt::format("<g transform=\"translate({} {})\">\n{}</g>\n",
                           kGap + static_cast<double>(i % columns) * (kWidth + kGap),
                           kGap + static_cast<double>(i / columns) * (kHeight + kGap),
                           panel_content(panels[i]));
  }
  return svg_document(width, height, content);
}

std::vector<double> nice_ticks(double low, double high, std::size_t count) {
  if (!(high > low) || count == 0 || !std::isfinite(high - low)) return {};
  const double rough = (high - low) / static_cast<double>(count);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  if (!(power > 0)) return {};
  const double part = rough / power;
  const double step = power * (part <= 1.5 ? 1 : part <= 3.5 ? 2 : part <= 7.5 ? 5 : 10);
  std::vector<double> ticks;
  // Counted, not added up, so that zero is exactly zero and rounding does not grow.
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (double i = first; i <= last && ticks.size() < 4 * count; i += 1) {
    ticks.push_back(i == 0 ? 0 : i * step);
  }
  return ticks;
}

std::string short_number(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  const double size = std::abs(value);
  const double scale = size >= 1e9 ? 1e9 : size >= 1e6 ? 1e6 : size >= 1e4 ? 1e3 : 1;
  const char* suffix = scale == 1e9 ? "G" : scale == 1e6 ? "M" : scale == 1e3 ? "k" : "";
  return fmt::format("{:.{}g}{}", value / scale, size >= 1e3 && scale == 1 ? 4 : digits, suffix);
}

std::vector<Point> smoothed(std::span<const Point> points) {
  std::vector<Point> line(points.begin(), points.end());
  if (points.size() < kMinSmoothed) return line;
  const auto n = static_cast<std::ptrdiff_t>(points.size());
  const std::ptrdiff_t reach = std::clamp<std::ptrdiff_t>(n / 40, 2, 200);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    if (!std::isfinite(points[static_cast<std::size_t>(i)].y)) continue;
    double sum = 0, weights = 0;
    // At the ends the window is one-sided: the last value shown is an average as well.
    for (std::ptrdiff_t k = std::max(-reach, -i); k <= std::min(reach, n - 1 - i); ++k) {
      const double y = points[static_cast<std::size_t>(i + k)].y;
      if (!std::isfinite(y)) continue;
      const auto weight = static_cast<double>(reach + 1 - std::abs(k));
      sum += weight * y;
      weights += weight;
    }
    line[static_cast<std::size_t>(i)].y = sum / weights;
  }
  return line;
}

}  // namespace r1::plot
