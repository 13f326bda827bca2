#include "plot/svg.h"

#include <fmt/format.h>

#include <array>

namespace r1::plot {
namespace {

struct Look {
  const char* background;
  const char* text;
  const char* faint_text;
  const char* grid;
  const char* axis;
  std::array<const char*, kSvgColors> colors;
};
// Colours that stay apart for colour-blind eyes and have contrast on their background.
constexpr Look kLight = {
    "#ffffff",
    "#1c2128",
    "#59636e",
    "#e6e9ed",
    "#8b949e",
    {"#1f6feb", "#d4620b", "#12875f", "#b8338a", "#7048c9", "#937112", "#0b8aa0", "#c4373c"}};
constexpr Look kDark = {
    "#12161c",
    "#e8ecf1",
    "#9aa5b1",
    "#262d36",
    "#5a6572",
    {"#6aa8ff", "#ff9d52", "#4fcf9f", "#f07fc6", "#b093ff", "#dcb84a", "#4cc9dc", "#ff8085"}};

std::string look_rules(const Look& look) {
  std::string css = fmt::format(
      ".plot .paper{{fill:{}}}.plot text{{fill:{}}}.plot .tick{{fill:{}}}.plot .grid{{stroke:{}}}"
      ".plot .axis{{stroke:{}}}.plot .dot{{stroke:{}}}\n",
      look.background, look.text, look.faint_text, look.grid, look.axis, look.background);
  for (std::size_t i = 0; i < kSvgColors; ++i) {
    css += fmt::format(".plot .c{0}{{stroke:{1}}}.plot .d{0}{{fill:{1}}}.plot .t{0}{{fill:{1}}}\n",
                       i, look.colors[i]);
  }
  return css;
}

}  // namespace

std::string svg_style() {
  return fmt::format(
      ".plot text{{font:{}px system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif}}\n"
      ".plot .title{{font-size:15px;font-weight:600}}\n"
      ".plot .value{{font-size:15px;font-weight:600;text-anchor:end}}\n"
      ".plot .strong{{font-weight:600}}.plot .tick{{font-size:11px}}\n"
      ".plot .end{{text-anchor:end}}.plot .middle{{text-anchor:middle}}\n"
      ".plot path{{fill:none;stroke-linejoin:round;stroke-linecap:round}}\n"
      ".plot .grid,.plot .axis{{stroke-width:1}}.plot .raw{{stroke-width:1;opacity:.3}}\n"
      ".plot .line{{stroke-width:2.2}}.plot .dashed{{stroke-dasharray:5 5}}\n"
      ".plot .dot{{stroke-width:1.5}}\n"
      "{}@media (prefers-color-scheme:dark){{\n{}}}\n",
      kSvgFont, look_rules(kLight), look_rules(kDark));
}

std::string svg_document(double width, double height, std::string_view content) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\">\n<style>\n{2}</style>\n"
      "<rect class=\"paper\" width=\"{0}\" height=\"{1}\" rx=\"8\"/>\n{3}</svg>\n",
      width, height, svg_style(), content);
}

std::string escape_xml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        if (byte < 0x20 && c != '\n' && c != '\t') {
          escaped += "\xEF\xBF\xBD";
        } else {
          escaped += c;
        }
    }
  }
  return escaped;
}

}  // namespace r1::plot
