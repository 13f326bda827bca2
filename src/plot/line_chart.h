#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Line charts over training steps.
namespace r1::plot {

struct Point {
  double x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

// One line of a chart. Points are in order of x; a point whose y is not finite breaks the line.
struct Series {
  std::string label;
  std::vector<Point> points;
  std::size_t color = 0;  // index into a palette of kSvgColors (plot/svg.h), taken modulo
  bool dashed = false;
  bool exact = false;  // without noise (a schedule, a measurement): drawn as it is, not smoothed
};

struct Panel {
  std::string title;
  std::string x_label;
  std::vector<Series> series;
  bool from_zero = false;  // the y axis begins at 0
  bool unit = false;       // the y axis is [0, 1], wider only where values are outside
};

// The panels side by side in `columns` columns, as a standalone SVG document on its own background.
std::string svg_figure(std::span<const Panel> panels, std::size_t columns);

// One panel as an <svg> element for an HTML page whose style sheet contains svg_style().
std::string svg_panel(const Panel& panel);

// Round numbers (1, 2 or 5 times a power of ten apart) inside [low, high], about `count` of them.
std::vector<double> nice_ticks(double low, double high, std::size_t count);

// A number for human eyes: about `digits` significant digits, thousands as k, M, G.
std::string short_number(double value, int digits = 3);

// The line without its noise: a centred triangular average over about a twentieth of the points.
// Short series and points that are not finite come back as they are.
std::vector<Point> smoothed(std::span<const Point> points);

}  // namespace r1::plot
