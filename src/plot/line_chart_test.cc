#include "plot/line_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "plot/svg.h"

namespace r1::plot {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Panel panel_of(std::vector<Point> points) {
  Series series;
  series.label = "line";
  series.points = std::move(points);
  return {"Title", "step", {series}};
}
std::size_t count(std::string_view text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + 1)) {
    ++n;
  }
  return n;
}

TEST(LineChart, TicksAreRoundAndInside) {
  EXPECT_THAT(nice_ticks(0, 1, 5),
              ElementsAre(0, DoubleNear(0.2, 1e-12), DoubleNear(0.4, 1e-12), DoubleNear(0.6, 1e-12),
                          DoubleNear(0.8, 1e-12), DoubleNear(1.0, 1e-12)));
  EXPECT_THAT(nice_ticks(-7, 12, 4), ElementsAre(-5, 0, 5, 10));
  EXPECT_THAT(nice_ticks(1, 1, 5), IsEmpty());
  EXPECT_THAT(nice_ticks(0, std::numeric_limits<double>::infinity(), 5), IsEmpty());
  EXPECT_THAT(nice_ticks(std::nan(""), 1, 5), IsEmpty());
  for (const double size : {1e-300, 1e-9, 0.3, 7.0, 1e6, 1e300}) {
    const auto ticks = nice_ticks(-size, size * 1.7, 5);
    EXPECT_GE(ticks.size(), 3u) << size;
    EXPECT_LE(ticks.size(), 9u) << size;
    for (const double tick : ticks) {
      EXPECT_GE(tick, -size * 1.0001);
      EXPECT_LE(tick, size * 1.7001);
    }
  }
}

TEST(LineChart, NumbersAreShort) {
  EXPECT_EQ(short_number(0.123456), "0.123");
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(1234), "1234");
  EXPECT_EQ(short_number(-56789), "-56.8k");
  EXPECT_EQ(short_number(1.5e9), "1.5G");
  EXPECT_EQ(short_number(std::nan("")), "–");
}

TEST(LineChart, SmoothingKeepsConstantsLinesAndLength) {
  std::vector<Point> line, noisy;
  for (int i = 0; i < 200; ++i) {
    line.push_back({double(i), 2.0 * i});
    noisy.push_back({double(i), i % 2 == 0 ? 1.0 : -1.0});
  }
  const auto smooth = smoothed(line);
  ASSERT_EQ(smooth.size(), line.size());
  for (std::size_t i = 10; i < 190; ++i) EXPECT_NEAR(smooth[i].y, line[i].y, 1e-9);
  for (std::size_t i = 10; i < 190; ++i) EXPECT_LT(std::abs(smoothed(noisy)[i].y), 0.1);
  const std::vector<Point> few(line.begin(), line.begin() + 5);
  EXPECT_EQ(smoothed(few), few);
}

TEST(LineChart, SmoothingStepsOverGaps) {
  std::vector<Point> points;
  for (int i = 0; i < 40; ++i) points.push_back({double(i), i == 20 ? std::nan("") : 3.0});
  const auto smooth = smoothed(points);
  EXPECT_TRUE(std::isnan(smooth[20].y));
  EXPECT_DOUBLE_EQ(smooth[21].y, 3.0);
}

TEST(LineChart, ALineRunsThroughItsPoints) {
  // The x axis is 0..2 wide; y has 6% of room above and below 0..10.
  const std::string svg = svg_panel(panel_of({{0, 0}, {1, 10}, {2, 0}}));
  EXPECT_THAT(svg, HasSubstr("d=\"M52.0 "));
  EXPECT_THAT(svg, HasSubstr("L247.0 "));
  EXPECT_THAT(svg, HasSubstr("L442.0 "));
}

TEST(LineChart, AGapBreaksTheLine) {
  const std::string svg = svg_panel(panel_of({{0, 1}, {1, std::nan("")}, {2, 2}, {3, 3}}));
  EXPECT_EQ(count(svg.substr(svg.find("class=\"line")), "M"), 2u);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(LineChart, OddDataMakesNoOddNumbers) {
  const double inf = std::numeric_limits<double>::infinity();
  const double max = std::numeric_limits<double>::max();
  for (const std::vector<Point>& points : {std::vector<Point>{},
                                           {{5, 5}},
                                           {{1, 0}, {2, 0}},
                                           {{1, inf}, {2, -inf}},
                                           {{0, 1e-320}, {1, 2e-320}},
                                           {{0, 1e300}, {1, -1e300}},
                                           {{0, -max}, {1, max}}}) {
    for (const bool unit : {false, true}) {
      Panel panel = panel_of(points);
      panel.unit = panel.from_zero = unit;
      const std::string svg = svg_panel(panel);
      EXPECT_EQ(svg.find("nan"), std::string::npos) << points.size();
      EXPECT_EQ(svg.find("inf"), std::string::npos) << points.size();
      EXPECT_LT(svg.size(), 20000u);
    }
  }
}

TEST(LineChart, LongRunsAreThinnedButKeepTheirExtremes) {
  std::vector<Point> points;
  for (int i = 0; i < 100000; ++i) points.push_back({double(i), i == 31234 ? 50.0 : 1.0});
  Panel panel = panel_of(points);
  panel.series[0].exact = true;
  const std::string svg = svg_panel(panel);
  EXPECT_LT(svg.size(), 40000u);
  panel.series[0].points[31234].y = 1;
  EXPECT_NE(svg_panel(panel), svg);
}

TEST(Svg, TextIsEscaped) {
  EXPECT_EQ(escape_xml("<a href=\"x\">'&'</a>\x1b\n"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;\xEF\xBF\xBD\n");
  Panel panel = panel_of({{0, 1}});
  panel.title = "<script>";
  EXPECT_THAT(svg_panel(panel), Not(HasSubstr("<script>")));
}

TEST(LineChart, AFigureHoldsAllPanelsAndBothLooks) {
  const std::vector<Panel> panels(5, panel_of({{0, 1}, {1, 2}}));
  const std::string svg = svg_figure(panels, 3);
  EXPECT_EQ(count(svg, "<g transform"), 5u);
  EXPECT_THAT(svg, HasSubstr("width=\"1428\" height=\"636\""));
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_EQ(svg, svg_figure(panels, 3));
  EXPECT_THAT(svg_figure({}, 3), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace r1::plot
