#include "plot/heat_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace r1::plot {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + 1)) {
    ++n;
  }
  return n;
}

HeatMap small() {
  return {
      "Recall",       "length",
      "depth",        {"4k", "8k", "16k"},
      {"0%", "100%"}, {{1.0, 0.5, 0.0}, {0.375, 1.5, std::numeric_limits<double>::quiet_NaN()}}};
}

TEST(HeatMap, EveryCellSaysItsShare) {
  const std::string svg = svg_heat_map(small());
  // Five cells; the sixth was not measured.
  EXPECT_EQ(count(svg, "fill-opacity"), 5u);
  EXPECT_THAT(svg, HasSubstr(">100</text>"));
  EXPECT_THAT(svg, HasSubstr(">38</text>"));
  EXPECT_THAT(svg, HasSubstr(">–</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, HasSubstr("class=\"d2\" fill-opacity=\"0.500\""));
  EXPECT_THAT(svg, HasSubstr("class=\"d2\" fill-opacity=\"0.000\""));
  EXPECT_THAT(svg, HasSubstr("class=\"d7\" fill-opacity=\"0.500\""));
  EXPECT_THAT(svg, HasSubstr("class=\"d7\" fill-opacity=\"0.125\""));
}

TEST(HeatMap, TheSameMapGivesTheSameBytesInBothLooks) {
  const std::string svg = svg_heat_map(small());
  EXPECT_EQ(svg, svg_heat_map(small()));
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_TRUE(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
}

TEST(HeatMap, LabelsAreEscaped) {
  HeatMap map = small();
  map.title = map.columns[0] = map.rows[0] = map.x_label = map.y_label = "<script>";
  EXPECT_THAT(svg_heat_map(map), Not(HasSubstr("<script>")));
}

}  // namespace
}  // namespace r1::plot
