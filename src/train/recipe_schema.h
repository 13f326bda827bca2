#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/yaml.h"
#include "train/recipe.h"

// The list of fields behind a recipe. A schema points into one recipe struct; each field is
// declared once with its path, target and range, and is read, overridden and printed from that.
namespace r1::train {

// Bounds of a real number.
struct Interval {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;
  bool high_open = false;

  bool contains(double x) const {
    return (low_open ? x > low : x >= low) && (high_open ? x < high : x <= high);
  }
};
inline constexpr Interval kPositive{.low = 0, .low_open = true};
inline constexpr Interval kNotNegative{.low = 0};
inline constexpr Interval kUnit{.low = 0, .high = 1};                         // [0, 1]
inline constexpr Interval kUnitOpen{.low = 0, .high = 1, .high_open = true};  // [0, 1)
inline constexpr Interval kFraction{.low = 0, .high = 1, .low_open = true};   // (0, 1]

class Schema {
 public:
  void integer(std::string path, std::int64_t& target, std::int64_t low, std::int64_t high);
  void integer(std::string path, std::optional<std::int64_t>& target, std::int64_t low,
               std::int64_t high);
  void seed(std::string path, std::uint64_t& target);
  void real(std::string path, double& target, Interval range);
  void real(std::string path, std::optional<double>& target, Interval range);
  void flag(std::string path, bool& target);
  void text(std::string path, std::string& target);
  void names(std::string path, std::vector<std::string>& target, std::vector<std::string> allowed);
  // `{a: 2, b: 1}`, or `[a, b]` for equal weights; `path.a=3` overrides one weight.
  void weights(std::string path, std::vector<WeightedName>& target);

  // The first spelling of a value is the one printed.
  template <typename Enum>
  void choice(std::string path, Enum& target,
              std::vector<std::pair<std::string_view, Enum>> spellings);

  // Reads `node` as the value at `path` ("" = the whole document). Throws Error.
  void assign(const std::string& path, const YamlNode& node, std::string_view where);
  // Whether assign() has set this field.
  bool given(std::string_view path) const;
  // All fields as YAML, sections in order of first mention; fields for which `skip` holds are
  // left out.
  std::string print(const std::function<bool(std::string_view path)>& skip) const;

 private:
  struct Field {
    std::string path;
    std::string expects;                        // "an integer from 1 to 10"
    std::function<bool(const YamlNode&)> read;  // false: the value is not what it expects
    std::function<std::string()> print;         // one line of YAML
    std::function<bool(const std::string& name, const YamlNode&)> read_entry;  // weights only
    bool given = false;
  };

  void add(std::string path, std::string expects, std::function<bool(const YamlNode&)> read,
           std::function<std::string()> print);
  void read_field(Field& field, const YamlNode& node, std::string_view where);
  bool is_section(std::string_view path) const;
  [[noreturn]] void fail_unknown(const std::string& path, const YamlNode& node,
                                 std::string_view where) const;

  std::vector<Field> fields_;
};

// The name of `names` that a mistyped `name` most likely meant; empty when none is near.
std::string nearest_name(std::string_view name, const std::vector<std::string>& names);

template <typename Enum>
void Schema::choice(std::string path, Enum& target,
                    std::vector<std::pair<std::string_view, Enum>> spellings) {
  std::string expects = "one of";
  for (const auto& [name, value] : spellings) expects += " " + std::string(name);
  add(
      std::move(path), std::move(expects),
      [&target, spellings](const YamlNode& node) {
        for (const auto& [name, value] : spellings) {
          if (node.kind == YamlNode::Kind::kScalar && node.text == name) {
            target = value;
            return true;
          }
        }
        return false;
      },
      [&target, spellings] {
        for (const auto& [name, value] : spellings) {
          if (value == target) return std::string(name);
        }
        return std::string();
      });
}

}  // namespace r1::train
