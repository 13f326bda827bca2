#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// What all plots share: SVG documents with a light and a dark look chosen by the viewer's
// preference. The same data give the same bytes.
namespace r1::plot {

inline constexpr std::size_t kSvgColors = 8;  // classes c0, d0, t0, ...: strokes, fills, texts
inline constexpr double kSvgFont = 12;
// Sans-serif letters are about this wide, in parts of the font size.
inline constexpr double kSvgLetter = 0.56;

// A standalone document on its own background.
std::string svg_document(double width, double height, std::string_view content);
// The rules of the classes that plots use.
std::string svg_style();

// Text as content of an XML element or attribute; what XML cannot hold becomes U+FFFD.
std::string escape_xml(std::string_view text);

}  // namespace r1::plot
