#include "plot/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/progress_text.h"
#include "plot/svg.h"

namespace r1::plot {
namespace {

// In SVG user units.
constexpr double kCellWidth = 76, kCellHeight = 34, kCellGap = 3;
constexpr double kMargin = 18, kTitleBaseline = 28, kTop = 44, kLabelGap = 10, kBottom = 52;
constexpr double kAxisLine = 20;  // for the label of the rows, which stands upright

// Text must be readable on the fullest colour, in both looks.
constexpr double kMostOpacity = 0.5;
constexpr const char *kHigh = "d2", *kLow = "d7";

std::string cell(double x, double y, double value) {
  const double middle = x + (kCellWidth - kCellGap) / 2, baseline = y + kCellHeight / 2 + 3;
  if (!std::isfinite(value)) {
    return fmt::format("<text class=\"tick middle\" x=\"{:.1f}\" y=\"{:.1f}\">–</text>\n", middle,
                       baseline);
  }
  const double share = std::clamp(value, 0.0, 1.0);
  return fmt::format(
      "<rect class=\"{}\" fill-opacity=\"{:.3f}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" "
      "height=\"{}\" rx=\"4\"/>\n"
      "<text class=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{:.0f}</text>\n",
      share >= 0.5 ? kHigh : kLow, std::abs(2.0 * share - 1.0) * kMostOpacity, x, y,
      kCellWidth - kCellGap, kCellHeight - kCellGap, middle, baseline, 100.0 * share);
}

}  // namespace

std::string svg_heat_map(const HeatMap& map) {
  R1_CHECK(map.values.size() == map.rows.size(), "{} rows, {} labels", map.values.size(),
           map.rows.size());
  std::size_t letters = 0;
  for (const std::string& row : map.rows) letters = std::max(letters, display_width(row));
  const double left =
      kMargin + kAxisLine + static_cast<double>(letters) * kSvgLetter * kSvgFont + kLabelGap;
  const double plot_width = static_cast<double>(map.columns.size()) * kCellWidth;
  const double plot_height = static_cast<double>(map.rows.size()) * kCellHeight;
  const double title_width = static_cast<double>(display_width(map.title)) * kSvgLetter * 15;
  const double width = std::max(left + plot_width, kMargin + title_width) + kMargin;

  std::string svg = fmt::format("<text class=\"title\" x=\"{}\" y=\"{}\">{}</text>\n", kMargin,
                                kTitleBaseline, escape_xml(map.title));
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    R1_CHECK(map.values[r].size() == map.columns.size(), "{} values, {} labels",
             map.values[r].size(), map.columns.size());
    const double y = kTop + static_cast<double>(r) * kCellHeight;
    svg += fmt::format("<text class=\"tick end\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                       left - kLabelGap, y + kCellHeight / 2 + 3, escape_xml(map.rows[r]));
    for (std::size_t c = 0; c < map.columns.size(); ++c) {
      svg += cell(left + static_cast<double>(c) * kCellWidth, y, map.values[r][c]);
    }
  }
  for (std::size_t c = 0; c < map.columns.size(); ++c) {
    svg += fmt::format("<text class=\"tick middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                       left + (static_cast<double>(c) + 0.5) * kCellWidth - kCellGap / 2,
                       kTop + plot_height + 16, escape_xml(map.columns[c]));
  }
  svg += fmt::format("<text class=\"tick middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                     left + plot_width / 2, kTop + plot_height + 36, escape_xml(map.x_label));
  const double middle = kTop + plot_height / 2;
  svg += fmt::format(
      "<text class=\"tick middle\" transform=\"rotate(-90 {0} {1:.1f})\" x=\"{0}\" y=\"{1:.1f}\">"
      "{2}</text>\n",
      kMargin + kAxisLine / 2, middle, escape_xml(map.y_label));
  return svg_document(std::ceil(width), kTop + plot_height + kBottom, svg);
}

}  // namespace r1::plot
