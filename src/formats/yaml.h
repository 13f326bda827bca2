#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace r1 {

// What a document may contain at most; beyond it parse_yaml throws.
inline constexpr std::size_t kMaxYamlBytes = 1 << 20;
inline constexpr std::size_t kMaxYamlNodes = 20000;
inline constexpr std::size_t kMaxYamlDepth = 16;

// The part of YAML that recipes and settings need, as a tree of its own with line numbers: no
// anchors, no aliases, no tags, one document, no key twice.
struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  Kind kind = Kind::kNull;
  std::string text;                // of a scalar
  bool quoted = false;             // a quoted scalar is always a string
  int line = 0;                    // 1-based
  std::vector<std::string> keys;   // of a map, in file order; keys[i] belongs to children[i]
  std::vector<YamlNode> children;  // of a map or sequence

  // The node as a reader would name it in an error: `"abc"`, `a list`, `a mapping`, `null`.
  std::string describe() const;
};

// Throws Error(where:line, ...).
YamlNode parse_yaml(std::string_view text, std::string_view where);

// The scalar as one line of YAML, quoted when a reader could take it for something else.
std::string yaml_scalar(std::string_view text);

}  // namespace r1
