#include "hub/cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/error.h"

namespace r1::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kCommit(40, 'a');
const std::string kOlder(40, 'b');

class HubCache : public ::testing::Test {
 protected:
  HubCache()
      : root_(fs::temp_directory_path() / fmt::format("r1-cache-test-{}", ::getpid())),
        cache_(root_ / "hub") {
    fs::remove_all(root_);
    fs::create_directories(cache_.root());
    const char* value = std::getenv("HF_HUB_CACHE");
    if (value != nullptr) before_ = value;
    ::setenv("HF_HUB_CACHE", cache_.root().c_str(), 1);
  }
  ~HubCache() override {
    fs::remove_all(root_);
    before_ ? ::setenv("HF_HUB_CACHE", before_->c_str(), 1) : ::unsetenv("HF_HUB_CACHE");
  }

  void add(const std::string& repo, const std::string& commit, const std::string& path,
           const std::string& hash, const std::string& bytes) {
    fs::create_directories(cache_.folder(repo) / "blobs");
    std::ofstream(cache_.blob(repo, hash)) << bytes;
    cache_.link(repo, commit, path, hash);
  }
  std::string refusal(const std::string& name) {
    try {
      return "resolved to " + resolve_model(name).string();
    } catch (const Error& error) {
      return error.what();
    }
  }

  fs::path root_;
  Cache cache_;
  std::optional<std::string> before_;
};

TEST_F(HubCache, DescribesWhatIsThere) {
  EXPECT_THAT(cache_.models(), IsEmpty());
  add("org/b", kCommit, "config.json", "1", "12345");
  add("org/b", kCommit, "model.safetensors", "2", "1234567890");
  add("org/b", kOlder, "config.json", "1", "12345");
  cache_.set_revision("org/b", "main", kCommit);
  cache_.set_revision("org/b", "refs/pr/1", kCommit);
  add("org/a", kCommit, "x/Model-Q4_K_M.gguf", "3", "123");
  fs::create_directories(cache_.root() / "datasets--org--c");
  fs::create_directories(cache_.root() / "models--..--c");
  const std::vector<CachedModel> models = cache_.models();
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].repo, "org/a");
  EXPECT_EQ(CachedModel::format_of(models[0].snapshots.at(0)), "GGUF Q4_K_M");
  EXPECT_EQ(models[1].repo, "org/b");
  EXPECT_EQ(models[1].bytes, 15);
  EXPECT_FALSE(models[1].incomplete);
  EXPECT_GT(models[1].last_used, 0);
  ASSERT_EQ(models[1].snapshots.size(), 2u);
  EXPECT_THAT(models[1].snapshots[0].revisions, ElementsAre("main", "refs/pr/1"));
  EXPECT_THAT(models[1].snapshots[0].files, ElementsAre("config.json", "model.safetensors"));
  EXPECT_THAT(models[1].snapshots[1].revisions, IsEmpty());
  EXPECT_EQ(CachedModel::format_of(models[1].snapshots[0]), "safetensors");
  EXPECT_EQ(CachedModel::format_of(models[1].snapshots[1]), "");
}

TEST_F(HubCache, ResolvesNames) {
  add("org/hf", kCommit, "config.json", "1", "{}");
  add("org/hf", kCommit, "model.safetensors", "2", "weights");
  cache_.set_revision("org/hf", "main", kCommit);
  add("org/gguf", kCommit, "Model-Q4_K_M.gguf", "3", "four");
  cache_.set_revision("org/gguf", "main", kCommit);
  EXPECT_EQ(resolve_model("org/hf"), cache_.snapshot("org/hf", kCommit));
  EXPECT_EQ(resolve_model("org/hf@" + kCommit), cache_.snapshot("org/hf", kCommit));
  const fs::path gguf = cache_.snapshot("org/gguf", kCommit) / "Model-Q4_K_M.gguf";
  EXPECT_EQ(resolve_model("org/gguf"), gguf);
  EXPECT_EQ(resolve_model("org/gguf:q4_k_m"), gguf);
  EXPECT_EQ(resolve_model("org/gguf:Model-Q4_K_M.gguf"), gguf);
  EXPECT_THAT(refusal("org/gguf:q8_0"), HasSubstr("r1 pull org/gguf:q8_0"));
  EXPECT_THAT(refusal("org/none"), HasSubstr("neither a path nor a model in the cache"));
  EXPECT_THAT(refusal("org/none"), HasSubstr("r1 pull org/none"));
  EXPECT_THAT(refusal("org/hf@v2"), HasSubstr("r1 pull org/hf@v2"));
  add("org/gguf", kCommit, "Model-Q8_0.gguf", "4", "eight");
  EXPECT_THAT(refusal("org/gguf"), HasSubstr("Model-Q4_K_M.gguf, Model-Q8_0.gguf"));
  // A configuration alone is no model.
  add("org/config", kCommit, "config.json", "1", "{}");
  cache_.set_revision("org/config", "main", kCommit);
  EXPECT_THAT(refusal("org/config"), HasSubstr("r1 pull org/config"));
  // What cannot be a name is a path, whether it is there or not.
  EXPECT_EQ(resolve_model("/no/such/path"), "/no/such/path");
  EXPECT_EQ(resolve_model("model.gguf"), "model.gguf");
  // A path that is there comes first.
  const fs::path before = fs::current_path();
  fs::current_path(root_);
  fs::create_directories(root_ / "org" / "hf");
  EXPECT_EQ(resolve_model("org/hf"), "org/hf");
  fs::current_path(before);
}

TEST_F(HubCache, AFileWhoseBytesAreGoneIsNotThere) {
  add("org/hf", kCommit, "model.safetensors", "2", "weights");
  cache_.set_revision("org/hf", "main", kCommit);
  fs::remove(cache_.blob("org/hf", "2"));
  EXPECT_THAT(refusal("org/hf"), HasSubstr("r1 pull org/hf"));
}

TEST_F(HubCache, RemovesOneModelAlone) {
  add("org/a", kCommit, "model.safetensors", "2", "weights");
  add("org/b", kCommit, "model.safetensors", "2", "weights");
  const fs::path outside = root_ / "outside";
  std::ofstream(outside) << "stays";
  fs::create_symlink(outside, cache_.folder("org/a") / "blobs" / "link");
  fs::create_directories(cache_.lock("org/a", "2").parent_path());
  cache_.remove("org/a");
  EXPECT_FALSE(cache_.find("org/a"));
  EXPECT_TRUE(cache_.find("org/b"));
  EXPECT_TRUE(fs::exists(outside));
  EXPECT_FALSE(fs::exists(cache_.lock("org/a", "2").parent_path()));
  EXPECT_THROW(cache_.remove("org/a"), Error);
  // A link to elsewhere is left alone, with what is there.
  fs::create_directories(root_ / "elsewhere" / "blobs");
  fs::create_directory_symlink(root_ / "elsewhere", cache_.folder("org/linked"));
  EXPECT_THROW(cache_.remove("org/linked"), Error);
  EXPECT_TRUE(fs::exists(root_ / "elsewhere" / "blobs"));
}

}  // namespace
}  // namespace r1::hub
