#include "reasoning/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "formats/gguf.h"

namespace r1::reasoning {
namespace {

TEST(GenerationConfig, ReadsWhatIsThere) {
  const GenerationConfig empty = parse_generation_config("{}", "g");
  EXPECT_EQ(empty.r1_zero_form, std::nullopt);
  EXPECT_FALSE(empty.recommends_sampling());
  EXPECT_TRUE(empty.end_ids.empty());
  const GenerationConfig full = parse_generation_config(
      R"({"r1_prompt_template": "r1-zero", "eos_token_id": [1, 5], "temperature": 0.6})", "g");
  EXPECT_EQ(full.r1_zero_form, text::TemplateKind::kR1Zero);
  EXPECT_EQ(full.end_ids, (std::vector<std::int32_t>{1, 5}));
  EXPECT_EQ(full.temperature, 0.6f);
  EXPECT_EQ(parse_generation_config(R"({"eos_token_id": 2, "do_sample": false})", "g").temperature,
            0.0f);
}

TEST(GenerationConfig, RefusesWhatHasNoMeaning) {
  for (const char* json :
       {R"({"r1_prompt_template": "other"})", R"({"eos_token_id": "end"})",
        R"({"temperature": -1})", R"({"top_p": 0})", R"({"top_k": -1})", "[]", "{"}) {
    EXPECT_THROW(parse_generation_config(json, "g"), Error) << json;
  }
}

TEST(GenerationConfig, ComesBackFromBothKindsOfFile) {
  const GenerationConfig config = parse_generation_config(
      R"({"r1_prompt_template": "r1-zero", "eos_token_id": [7, 1, 5], "temperature": 0.6,
          "top_p": 0.95, "top_k": 20})",
      "g");
  const GenerationConfig json = parse_generation_config(write_generation_config(config), "g");
  EXPECT_THAT(write_generation_config(config), testing::HasSubstr("0.95"));

  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "use.gguf";
  GgufMetadataBuilder metadata;
  metadata.set("tokenizer.ggml.eos_token_id", std::uint32_t{7});  // the tokenizer's part
  describe(config, 7, metadata);
  GgufWriter(path, metadata, {}).commit();
  const GenerationConfig gguf = generation_config_of(GgufFile::open(path).metadata(), "g");
  std::filesystem::remove(path);
  for (const GenerationConfig& copy : {json, gguf}) {
    EXPECT_EQ(copy.r1_zero_form, text::TemplateKind::kR1Zero);
    EXPECT_EQ(copy.end_ids, config.end_ids);
    EXPECT_EQ(copy.temperature, 0.6f);
    EXPECT_EQ(copy.top_p, 0.95f);
    EXPECT_EQ(copy.top_k, 20);
  }
  GgufMetadataBuilder alone;  // of a tokenizer that names no end
  describe(config, std::nullopt, alone);
  EXPECT_TRUE(alone.has("tokenizer.ggml.eos_token_id"));
  const GenerationConfig greedy = parse_generation_config(R"({"do_sample": false})", "g");
  EXPECT_EQ(parse_generation_config(write_generation_config(greedy), "g").temperature, 0.0f);
  EXPECT_EQ(write_generation_config({}), "{}\n");
}

}  // namespace
}  // namespace r1::reasoning
