#include "train/recipe_schema.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/edit_distance.h"
#include "base/error.h"

namespace r1::train {
namespace {

template <typename Number>
std::optional<Number> parse_number(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::kScalar || node.quoted) return std::nullopt;
  Number value{};
  const char* end = node.text.data() + node.text.size();
  const auto [stop, error] = std::from_chars(node.text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<double> parse_real(const YamlNode& node) {
  const std::optional<double> value = parse_number<double>(node);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::string integer_range(std::int64_t low, std::int64_t high) {
  return high == std::numeric_limits<std::int64_t>::max()
             ? fmt::format("an integer of at least {}", low)
             : fmt::format("an integer from {} to {}", low, high);
}

std::string real_range(const Interval& range) {
  std::string text = "a number";
  const char* joint = " ";
  if (std::isfinite(range.low)) {
    text += fmt::format("{}{} {}", joint, range.low_open ? ">" : ">=", range.low);
    joint = " and ";
  }
  if (std::isfinite(range.high)) {
    text += fmt::format("{}{} {}", joint, range.high_open ? "<" : "<=", range.high);
  }
  return text;
}

bool read_integer(const YamlNode& node, std::int64_t low, std::int64_t high, std::int64_t& target) {
  const auto value = parse_number<std::int64_t>(node);
  if (!value || *value < low || *value > high) return false;
  target = *value;
  return true;
}

bool read_real(const YamlNode& node, const Interval& range, double& target) {
  const auto value = parse_real(node);
  if (!value || !range.contains(*value)) return false;
  target = *value;
  return true;
}

// Wraps a reader of a value into a reader of an optional one, for which null means unset.
template <typename T, typename Read>
bool read_optional(const YamlNode& node, std::optional<T>& target, Read read) {
  if (node.kind == YamlNode::Kind::kNull) {
    target.reset();
    return true;
  }
  T value{};
  if (!read(value)) return false;
  target = value;
  return true;
}

template <typename T>
std::string print_optional(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "null";
}

std::string_view leaf(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

std::string location(std::string_view where, const YamlNode& node) {
  return node.line > 0 ? fmt::format("{}:{}", where, node.line) : std::string(where);
}

}  // namespace

void Schema::add(std::string path, std::string expects, std::function<bool(const YamlNode&)> read,
                 std::function<std::string()> print) {
  fields_.push_back({std::move(path), std::move(expects), std::move(read), std::move(print), {}});
}

void Schema::integer(std::string path, std::int64_t& target, std::int64_t low, std::int64_t high) {
  add(
      std::move(path), integer_range(low, high),
      [&target, low, high](const YamlNode& node) { return read_integer(node, low, high, target); },
      [&target] { return fmt::format("{}", target); });
}

void Schema::integer(std::string path, std::optional<std::int64_t>& target, std::int64_t low,
                     std::int64_t high) {
  add(
      std::move(path), integer_range(low, high) + " or null",
      [&target, low, high](const YamlNode& node) {
        return read_optional(node, target, [&](std::int64_t& value) {
          return read_integer(node, low, high, value);
        });
      },
      [&target] { return print_optional(target); });
}

void Schema::seed(std::string path, std::uint64_t& target) {
  add(
      std::move(path), "an integer from 0 to 18446744073709551615",
      [&target](const YamlNode& node) {
        const auto value = parse_number<std::uint64_t>(node);
        if (value) target = *value;
        return value.has_value();
      },
      [&target] { return fmt::format("{}", target); });
}

void Schema::real(std::string path, double& target, Interval range) {
  add(
      std::move(path), real_range(range),
      [&target, range](const YamlNode& node) { return read_real(node, range, target); },
      [&target] { return fmt::format("{}", target); });
}

void Schema::real(std::string path, std::optional<double>& target, Interval range) {
  add(
      std::move(path), real_range(range) + " or null",
      [&target, range](const YamlNode& node) {
        return read_optional(node, target,
                             [&](double& value) { return read_real(node, range, value); });
      },
      [&target] { return print_optional(target); });
}

void Schema::flag(std::string path, bool& target) {
  choice<bool>(std::move(path), target, {{"true", true}, {"false", false}});
}

void Schema::text(std::string path, std::string& target) {
  add(
      std::move(path), "a text",
      [&target](const YamlNode& node) {
        if (node.kind != YamlNode::Kind::kScalar) return false;
        target = node.text;
        return true;
      },
      [&target] { return yaml_scalar(target); });
}

void Schema::names(std::string path, std::vector<std::string>& target,
                   std::vector<std::string> allowed) {
  std::string expects = "a list, without repetition, of";
  for (const std::string& name : allowed) expects += " " + name;
  add(
      std::move(path), std::move(expects),
      [&target, allowed](const YamlNode& node) {
        if (node.kind != YamlNode::Kind::kSequence || node.children.empty()) return false;
        std::vector<std::string> read;
        for (const YamlNode& child : node.children) {
          if (std::ranges::find(allowed, child.text) == allowed.end()) return false;
          if (std::ranges::find(read, child.text) != read.end()) return false;
          read.push_back(child.text);
        }
        target = std::move(read);
        return true;
      },
      [&target] {
        std::string list;
        for (const std::string& name : target) list += (list.empty() ? "" : ", ") + name;
        return "[" + list + "]";
      });
}

void Schema::weights(std::string path, std::vector<WeightedName>& target) {
  const auto read_entry = [&target](const std::string& name, const YamlNode& node) {
    double weight = 0;
    if (name.empty() || !read_real(node, kNotNegative, weight)) return false;
    const auto entry = std::ranges::find(target, name, &WeightedName::name);
    if (entry == target.end()) {
      target.push_back({name, weight});
    } else {
      entry->weight = weight;
    }
    return true;
  };
  add(
      std::move(path), "a mapping of names to weights >= 0, or a list of names",
      [&target, read_entry](const YamlNode& node) {
        std::vector<WeightedName> before;
        before.swap(target);
        bool good = node.kind == YamlNode::Kind::kMap || node.kind == YamlNode::Kind::kSequence;
        YamlNode one;
        one.kind = YamlNode::Kind::kScalar;
        one.text = "1";
        for (std::size_t i = 0; good && i < node.children.size(); ++i) {
          const YamlNode& child = node.children[i];
          good = node.kind == YamlNode::Kind::kMap
                     ? read_entry(node.keys[i], child)
                     : child.kind == YamlNode::Kind::kScalar && read_entry(child.text, one);
        }
        if (!good) before.swap(target);
        return good;
      },
      [&target] {
        std::string map;
        for (const auto& [name, weight] : target) {
          map += fmt::format("{}{}: {}", map.empty() ? "" : ", ", yaml_scalar(name), weight);
        }
        return "{" + map + "}";
      });
  fields_.back().read_entry = read_entry;
}

void Schema::read_field(Field& field, const YamlNode& node, std::string_view where) {
  if (!field.read(node)) {
    throw Error(location(where, node),
                fmt::format("{} is {}, expected {}", field.path, node.describe(), field.expects));
  }
  field.given = true;
}

void Schema::assign(const std::string& path, const YamlNode& node, std::string_view where) {
  const bool map = node.kind == YamlNode::Kind::kMap;
  const auto exact = std::ranges::find(fields_, path, &Field::path);
  // `model` is both a field (a path) and a section (a shape): the value decides.
  if (exact != fields_.end() && !(map && is_section(path))) {
    read_field(*exact, node, where);
    return;
  }
  if (path.empty() || is_section(path)) {
    if (node.kind == YamlNode::Kind::kNull) return;  // an empty section
    if (!map) {
      throw Error(location(where, node),
                  fmt::format("{} is {}, expected a mapping", path.empty() ? "the recipe" : path,
                              node.describe()));
    }
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
      assign(path.empty() ? node.keys[i] : path + "." + node.keys[i], node.children[i], where);
    }
    return;
  }
  for (Field& field : fields_) {
    if (!field.read_entry || !path.starts_with(field.path + ".")) continue;
    if (!field.read_entry(path.substr(field.path.size() + 1), node)) {
      throw Error(location(where, node),
                  fmt::format("{} is {}, expected a weight >= 0", path, node.describe()));
    }
    field.given = true;
    return;
  }
  fail_unknown(path, node, where);
}

bool Schema::given(std::string_view path) const {
  const auto field = std::ranges::find(fields_, path, &Field::path);
  R1_CHECK(field != fields_.end(), "no field '{}'", path);
  return field->given;
}

bool Schema::is_section(std::string_view path) const {
  return std::ranges::any_of(fields_, [&](const Field& field) {
    return field.path.size() > path.size() && field.path.starts_with(path) &&
           field.path[path.size()] == '.';
  });
}

void Schema::fail_unknown(const std::string& path, const YamlNode& node,
                          std::string_view where) const {
  // The right name in the wrong section is the likelier slip than a wrong name.
  std::vector<std::string> paths;
  std::string advice;
  for (const Field& field : fields_) {
    paths.push_back(field.path);
    if (advice.empty() && leaf(field.path) == leaf(path)) advice = field.path;
  }
  if (advice.empty()) advice = nearest_name(path, paths);
  throw Error(location(where, node), fmt::format("unknown key '{}'", path),
              fmt::format("the nearest known key is '{}'", advice));
}

std::string Schema::print(const std::function<bool(std::string_view)>& skip) const {
  std::string text;
  std::vector<std::string> open;  // the sections around the last line, outermost first
  for (const Field& field : fields_) {
    if (skip(field.path)) continue;
    std::size_t depth = 0, begin = 0;
    for (std::size_t dot; (dot = field.path.find('.', begin)) != std::string::npos; ++depth) {
      const std::string section = field.path.substr(begin, dot - begin);
      if (depth == open.size() || open[depth] != section) {
        open.resize(depth);
        open.push_back(section);
        text += fmt::format("{:{}}{}:\n", "", 2 * depth, section);
      }
      begin = dot + 1;
    }
    open.resize(depth);
    text += fmt::format("{:{}}{}: {}\n", "", 2 * depth, leaf(field.path), field.print());
  }
  return text;
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& names) {
  constexpr std::size_t kLongestCompared = 200;
  name = name.substr(0, kLongestCompared);
  std::string nearest;
  std::size_t best = std::numeric_limits<std::size_t>::max();
  for (const std::string& candidate : names) {
    const std::size_t distance =
        std::min(edit_distance(name, candidate), edit_distance(leaf(name), leaf(candidate)));
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace r1::train
