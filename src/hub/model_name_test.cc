#include "hub/model_name.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace r1::hub {
namespace {

TEST(ModelName, ReadsRepositoryRevisionAndFile) {
  const ModelName plain = parse_model_name("deepseek-ai/DeepSeek-R1");
  EXPECT_EQ(plain.repo, "deepseek-ai/DeepSeek-R1");
  EXPECT_EQ(plain.revision, "main");
  EXPECT_EQ(plain.file, "");
  const ModelName full = parse_model_name("org/Name_1.5B@refs/pr/1:folder/a b-Q4_K_M.gguf");
  EXPECT_EQ(full.repo, "org/Name_1.5B");
  EXPECT_EQ(full.revision, "refs/pr/1");
  EXPECT_EQ(full.file, "folder/a b-Q4_K_M.gguf");
}

TEST(ModelName, RefusesWhatCouldLeaveItsFolder) {
  for (const char* text : {"",
                           "name",
                           "/name",
                           "org/",
                           "org/name/more",
                           "../name",
                           "org/..",
                           "org/a..b",
                           "org/a--b",
                           ".org/name",
                           "org/-name",
                           "org/name.",
                           "org/na me",
                           "org/name@",
                           "org/name@../x",
                           "org/name@a b",
                           "org/name:",
                           "org/name:../x",
                           "org/name:/x",
                           "org/name:a//b",
                           "org/name:a\\b",
                           "org/name:a\nb",
                           "org/name:./x",
                           "org/name:a/../b",
                           "org/näme"}) {
    EXPECT_FALSE(try_parse_model_name(text)) << text;
    EXPECT_THROW(parse_model_name(text), Error) << text;
  }
  EXPECT_FALSE(try_parse_model_name("org/" + std::string(100, 'a')));
}

TEST(ModelName, SafePathsStayBelow) {
  EXPECT_TRUE(is_safe_path("a/b.c"));
  EXPECT_TRUE(is_safe_path("..a/b.."));
  EXPECT_TRUE(is_safe_path("模型.gguf"));
  for (const std::string& path :
       {std::string(), std::string(".."), std::string("a/.."), std::string("/a"), std::string("a/"),
        std::string("a/./b"), std::string("a\0b", 3), std::string("\xff"), std::string(256, 'a'),
        std::string("C:a")}) {
    EXPECT_FALSE(is_safe_path(path)) << path;
  }
}

}  // namespace
}  // namespace r1::hub
