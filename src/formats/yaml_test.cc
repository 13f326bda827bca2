#include "formats/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace r1 {
namespace {

using testing::HasSubstr;

TEST(Yaml, RefusesHugeDeepAndCleverDocuments) {
  const auto error = [](const std::string& text) {
    try {
      parse_yaml(text, "r.yaml");
    } catch (const Error& refusal) {
      return std::string(refusal.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(error(std::string(kMaxYamlBytes + 1, ' ')), HasSubstr("too many"));
  EXPECT_THAT(error("a: " + std::string(1000, '[') + std::string(1000, ']')),
              HasSubstr("nested deeper than 16"));
  EXPECT_THAT(error("a: " + std::string(100000, '[')), HasSubstr("r.yaml:1"));
  EXPECT_THAT(error("a: " + std::string(100000, '{')), HasSubstr("r.yaml:1"));
  std::string many = "a: [";
  for (std::size_t i = 0; i <= kMaxYamlNodes; ++i) many += "1,";
  EXPECT_THAT(error(many + "]"), HasSubstr("more than 20000 values"));
  EXPECT_THAT(error("a: &x 1\nb: *x\n"), HasSubstr("anchors"));
  EXPECT_THAT(error("a: !!python/object x\n"), HasSubstr("tags"));
  EXPECT_THAT(error("a: 1\nb: 2\na: 3\n"), HasSubstr("r.yaml:3: key 'a' stands twice"));
  EXPECT_THAT(error("a: 1\n---\nb: 2\n"), HasSubstr("second document"));
  EXPECT_THAT(error("a: [1\n"), HasSubstr("not YAML"));
  EXPECT_THAT(error("[a]: 1\n"), HasSubstr("a key must be"));
}

TEST(Yaml, ScalarsComeBackUnchanged) {
  for (const std::string text :
       {"", "plain", "a/b-c_d.e", "null", "true", "1e3", "a: b", "# c", "line\nbreak\ttab", "~",
        "quote\" back\\slash", "思考", "-", "*x", "\x01\x7f", " padded "}) {
    const YamlNode node = parse_yaml("k: " + yaml_scalar(text) + "\n", "t");
    ASSERT_EQ(node.children.size(), 1u);
    EXPECT_EQ(node.children[0].kind, YamlNode::Kind::kScalar) << text;
    EXPECT_EQ(node.children[0].text, text);
  }
}

}  // namespace
}  // namespace r1
