// Models of a hub from outside: pulled, used by name, listed and removed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "hub/fake_hub.h"
#include "program.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kModel = "models/r1-zero-nano";
constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20;

class Store : public ::testing::Test {
 protected:
  Store() : home_(fs::temp_directory_path() / fmt::format("r1-store-test-{}", ::getpid())) {
    fs::remove_all(home_);
    for (const auto& entry : fs::directory_iterator(kModel)) {
      hub_.files[entry.path().filename().string()] = read_text_file(entry.path(), kMaxFileBytes);
    }
    environment_ = {"HF_HOME=" + home_.string(), "HF_ENDPOINT=" + hub_.url(),
                    "HF_HUB_CACHE=", "HF_TOKEN="};
  }
  ~Store() override { fs::remove_all(home_); }

  ProgramResult r1(const std::vector<std::string>& arguments) {
    return run_program(arguments, {}, environment_);
  }
  json r1_json(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    const ProgramResult result = r1(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json::parse(result.out);
  }

  fs::path home_;
  hub::testing::FakeHub hub_;
  std::vector<std::string> environment_;
};

TEST_F(Store, AModelIsPulledUsedListedAndRemoved) {
  const ProgramResult before = r1({"score", "org/model", "--ids", "0,12,57"});
  EXPECT_EQ(before.exit_code, 1);
  EXPECT_THAT(before.err, AllOf(StartsWith("error: "), HasSubstr("r1 pull org/model")));

  hub_.cuts = {1'000'000};
  const ProgramResult pulled = r1({"pull", "org/model"});
  EXPECT_EQ(pulled.exit_code, 0) << pulled.err;
  EXPECT_THAT(pulled.out, HasSubstr("verified"));
  EXPECT_THAT(pulled.err, AllOf(HasSubstr("trying again"), HasSubstr("100%")));

  const ProgramResult by_name = r1({"score", "org/model", "--ids", "0,12,57"});
  EXPECT_EQ(by_name.exit_code, 0) << by_name.err;
  EXPECT_EQ(by_name.out, r1({"score", kModel, "--ids", "0,12,57"}).out);

  const json listed = r1_json({"list"});
  ASSERT_EQ(listed["models"].size(), 1u);
  const json& model = listed["models"][0];
  EXPECT_EQ(model["model"], "org/model");
  EXPECT_EQ(model["snapshots"][0]["format"], "safetensors");
  EXPECT_EQ(model["snapshots"][0]["revisions"], json::array({"main"}));
  const auto weights = fs::file_size(fs::path(kModel) / "model.safetensors");
  EXPECT_GT(model["bytes"], weights);
  EXPECT_THAT(r1({"list"}).out, AllOf(HasSubstr("org/model  main 0123456"), HasSubstr(" MB ")));

  EXPECT_EQ(r1({"rm", "org/model:config.json"}).exit_code, 2);
  EXPECT_EQ(r1_json({"rm", "org/model", "--yes"})["freed_bytes"], model["bytes"]);
  EXPECT_TRUE(r1_json({"list"})["models"].empty());
  EXPECT_THAT(r1({"rm", "org/model", "--yes"}).err, HasSubstr("is not in the cache"));
  EXPECT_THAT(r1({"rm", "../model", "--yes"}).err, HasSubstr("is not the name of a model"));
}

TEST_F(Store, WhatCannotBePulledIsToldInOneLine) {
  hub_.token = "hf_secret";
  for (const char* name : {"org/model", "org/other", "not a name"}) {
    const ProgramResult result = r1({"pull", name});
    EXPECT_EQ(result.exit_code, 1) << name;
    EXPECT_EQ(result.out, "") << name;
    EXPECT_THAT(result.err, StartsWith("error: ")) << name;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
  environment_.push_back("HF_TOKEN=hf_secret");
  EXPECT_EQ(r1({"pull", "org/model:config.json"}).exit_code, 0);
}

TEST_F(Store, FitTellsWhatRuns) {
  const json plan = r1_json({"fit", kModel, "--context", "256", "--parallel", "2"});
  EXPECT_EQ(plan["verdict"], "fits");
  EXPECT_EQ(plan["context"], 256);
  EXPECT_EQ(plan["total_bytes"], plan["weight_bytes"].get<std::int64_t>() +
                                     plan["cache_bytes"].get<std::int64_t>() +
                                     plan["workspace_bytes"].get<std::int64_t>());
  EXPECT_EQ(r1_json({"fit", kModel, "--memory", "1M"})["verdict"], "too_large");
  EXPECT_THAT(
      r1({"fit", "--shape", "r1-distill-qwen-1.5b", "--type", "q4_k_m", "--memory", "4G"}).out,
      HasSubstr("fits with a context of"));
  EXPECT_EQ(r1({"fit"}).exit_code, 2);
}

}  // namespace
}  // namespace r1
