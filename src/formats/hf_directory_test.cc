#include "formats/hf_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "base/error.h"
#include "base/file.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class HfDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "r1_hf_test_XXXXXX").native();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    parent_ = pattern;
    directory_ = parent_ / "model";
    fs::create_directory(directory_);
    write_file_atomically(directory_ / "config.json", R"({"model_type": "deepseek_v3"})");
  }
  void TearDown() override { fs::remove_all(parent_); }

  static void write_tensor(const fs::path& path, const std::string& name, float value) {
    save_safetensors(path, {{name, DType::f32, {1}, std::as_bytes(std::span(&value, 1))}});
  }
  void write_index(std::string_view weight_map) const {
    write_file_atomically(directory_ / "model.safetensors.index.json",
                          fmt::format(R"({{"metadata": {{}}, "weight_map": {}}})", weight_map));
  }
  std::string open_message() const {
    try {
      HfDirectory::open(directory_);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  fs::path parent_;
  fs::path directory_;
};

TEST_F(HfDirectoryTest, OpensASingleFile) {
  write_tensor(directory_ / "model.safetensors", "w", 3);
  const HfDirectory model = HfDirectory::open(directory_);
  EXPECT_EQ(model.config(), R"({"model_type": "deepseek_v3"})");
  EXPECT_FALSE(model.generation_config());
  EXPECT_THAT(model.names(), ElementsAre("w"));
  EXPECT_EQ(load_f32(model.tensor("w"))[0], 3.0f);
  EXPECT_FALSE(model.has("v"));
  EXPECT_THROW(model.tensor("v"), Error);
}

TEST_F(HfDirectoryTest, OpensShards) {
  write_tensor(directory_ / "model-00001-of-00002.safetensors", "b", 1);
  write_tensor(directory_ / "model-00002-of-00002.safetensors", "a", 2);
  write_index(
      R"({"b": "model-00001-of-00002.safetensors", "a": "model-00002-of-00002.safetensors"})");
  write_file_atomically(directory_ / "generation_config.json", "{}");
  const HfDirectory model = HfDirectory::open(directory_);
  EXPECT_THAT(model.names(), ElementsAre("a", "b"));
  EXPECT_EQ(load_f32(model.tensor("a"))[0], 2.0f);
  EXPECT_EQ(load_f32(model.tensor("b"))[0], 1.0f);
  EXPECT_EQ(model.generation_config(), "{}");
}

TEST_F(HfDirectoryTest, SaysWhatIsMissing) {
  EXPECT_THAT(open_message(), HasSubstr("neither model.safetensors nor an index"));
  write_index(R"({"a": "gone.safetensors"})");
  EXPECT_THAT(open_message(), HasSubstr("gone.safetensors: cannot read: No such file"));
  write_tensor(directory_ / "s.safetensors", "b", 1);
  write_index(R"({"a": "s.safetensors"})");
  EXPECT_THAT(open_message(), HasSubstr("places \"a\" in s.safetensors, which does not have it"));
  fs::remove(directory_ / "config.json");
  EXPECT_THAT(open_message(), HasSubstr("config.json: cannot read"));
  fs::remove_all(directory_);
  EXPECT_THAT(open_message(), HasSubstr("is not a directory"));
}

TEST_F(HfDirectoryTest, ShardsCannotLeaveTheDirectory) {
  write_tensor(parent_ / "s.safetensors", "a", 1);
  for (const std::string& shard :
       {std::string("../s.safetensors"), (parent_ / "s.safetensors").native(), std::string(".."),
        std::string(""), std::string("a\\\\b"), std::string("a\\u0000b")}) {
    write_index(fmt::format(R"({{"a": "{}"}})", shard));
    EXPECT_THAT(open_message(), HasSubstr("is not a plain file name")) << shard;
  }
  write_index(R"({"a": 1})");
  EXPECT_THAT(open_message(), HasSubstr("\"a\" must be a string"));
  write_index(R"(["a"])");
  EXPECT_THAT(open_message(), HasSubstr("\"weight_map\" must be an object"));
}

TEST(HfDirectoryGolden, OpensEveryGoldenModel) {
  const char* configured = std::getenv("R1_GOLDEN_DIR");
  const fs::path golden = configured != nullptr ? configured : "../shared/golden";
  if (!fs::exists(golden)) GTEST_SKIP() << "no golden files at " << golden;
  for (const auto& entry : fs::directory_iterator(golden)) {
    if (!fs::exists(entry.path() / "model.safetensors")) continue;
    const HfDirectory model = HfDirectory::open(entry.path());
    EXPECT_TRUE(model.has("model.embed_tokens.weight")) << entry.path();
  }
}

}  // namespace
}  // namespace r1
