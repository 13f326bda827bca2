#pragma once

#include <string>
#include <vector>

namespace r1::plot {

// Shares from 0 to 1 over two axes.
struct HeatMap {
  std::string title;
  std::string x_label, y_label;
  std::vector<std::string> columns, rows;   // labels
  std::vector<std::vector<double>> values;  // [rows][columns]; not finite: nothing was measured
};

// A standalone SVG document: a grid of cells with their shares in per cent, the greener the higher
// and the redder the lower.
std::string svg_heat_map(const HeatMap& map);

}  // namespace r1::plot
