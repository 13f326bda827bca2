#include "formats/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

#include "base/error.h"

namespace r1 {
namespace {

bool is_null(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

// Builds the tree from yaml-cpp's events and stops it as soon as a limit is passed, which also
// bounds yaml-cpp's own recursion.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view where) : where_(where) {}

  YamlNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    place(mark, YamlNode{});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    fail(mark, "aliases (*name) are not allowed");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    // yaml-cpp says "?" for a plain scalar and "!" for a quoted one.
    if (!tag.empty() && tag != "?" && tag != "!") fail(mark, "tags are not allowed");
    YamlNode node;
    node.quoted = tag == "!";
    if (node.quoted || !is_null(value)) {
      node.kind = YamlNode::Kind::kScalar;
      node.text = value;
    }
    place(mark, std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    open(mark, YamlNode::Kind::kSequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    open(mark, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { close(); }

 private:
  [[noreturn]] void fail(const YAML::Mark& mark, std::string_view what) const {
    throw Error(fmt::format("{}:{}", where_, mark.line + 1), what);
  }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != YAML::NullAnchor) fail(mark, "anchors (&name) are not allowed");
  }

  void count(const YAML::Mark& mark) {
    if (++nodes_ > kMaxYamlNodes) fail(mark, fmt::format("more than {} values", kMaxYamlNodes));
  }
  void open(const YAML::Mark& mark, YamlNode::Kind kind) {
    if (stack_.size() >= kMaxYamlDepth) {
      fail(mark, fmt::format("nested deeper than {} levels", kMaxYamlDepth));
    }
    count(mark);
    if (!stack_.empty() && wants_key()) fail(mark, "a key must be a plain name");
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    stack_.push_back(std::move(node));
  }
  void close() {
    YamlNode node = std::move(stack_.back());
    stack_.pop_back();
    attach(std::move(node));
  }
  void place(const YAML::Mark& mark, YamlNode node) {
    node.line = mark.line + 1;
    count(mark);
    if (!stack_.empty() && wants_key()) {
      YamlNode& map = stack_.back();
      if (node.kind != YamlNode::Kind::kScalar) fail(mark, "a key must be a plain name");
      if (std::ranges::find(map.keys, node.text) != map.keys.end()) {
        fail(mark, fmt::format("key '{}' stands twice", node.text));
      }
      map.keys.push_back(std::move(node.text));
      return;
    }
    attach(std::move(node));
  }
  void attach(YamlNode node) {
    if (stack_.empty()) {
      root_ = std::move(node);
    } else {
      stack_.back().children.push_back(std::move(node));
    }
  }
  bool wants_key() const {
    const YamlNode& top = stack_.back();
    return top.kind == YamlNode::Kind::kMap && top.keys.size() == top.children.size();
  }

  std::string where_;
  std::vector<YamlNode> stack_;
  YamlNode root_;
  std::size_t nodes_ = 0;
};

}  // namespace

std::string YamlNode::describe() const {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kSequence:
      return "a list";
    case Kind::kMap:
      return "a mapping";
    case Kind::kScalar:
      break;
  }
  constexpr std::size_t kShown = 60;
  const std::string shown = text.size() <= kShown ? text : text.substr(0, kShown) + "...";
  return quoted ? fmt::format("\"{}\"", shown) : shown;
}

YamlNode parse_yaml(std::string_view text, std::string_view where) {
  if (text.size() > kMaxYamlBytes) {
    throw Error(where, fmt::format("{} bytes are too many", text.size()),
                fmt::format("at most {} are read", kMaxYamlBytes));
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(where);
    if (!parser.HandleNextDocument(builder)) return {};
    YamlNode root = builder.take_root();
    TreeBuilder rest(where);
    if (parser.HandleNextDocument(rest)) {
      throw Error(fmt::format("{}:{}", where, rest.take_root().line),
                  "a second document begins here", "one YAML document is read");
    }
    return root;
  } catch (const YAML::Exception& e) {
    throw Error(fmt::format("{}:{}", where, e.mark.line + 1), fmt::format("not YAML: {}", e.msg));
  }
}

std::string yaml_scalar(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  constexpr std::string_view kWords[] = {"null", "Null", "NULL", "true", "false"};
  if (!text.empty() && (is_letter(text[0]) || text[0] == '/') &&
      text.find_first_not_of(kPlain) == std::string_view::npos &&
      std::ranges::find(kWords, text) == std::end(kWords)) {
    return std::string(text);
  }
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace r1
