#include "model/rope.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace r1 {
namespace {

using nlohmann::json;

json vectors() {
  const char* directory = std::getenv("R1_GOLDEN_DIR");
  const auto path = std::filesystem::path(directory != nullptr ? directory : "../shared/golden") /
                    "vectors" / "rope.json";
  return std::filesystem::exists(path) ? json::parse(std::ifstream(path)) : json();
}

// The rotated part and the scaling of the 671B model.
ModelConfig deepseek(const json& golden) {
  const json& facts = golden["config"];
  ModelConfig config;
  config.qk_nope_head_dim = 128;
  config.kv_lora_rank = 512;
  config.qk_rope_head_dim = facts["qk_rope_head_dim"];
  config.rope_theta = facts["theta"];
  config.rope_scaling = YarnScaling{facts["factor"],    facts["original"], facts["beta_fast"],
                                    facts["beta_slow"], facts["mscale"],   facts["mscale_all_dim"]};
  return config;
}

TEST(RopeTest, FrequenciesOfDeepSeekToTheBit) {
  const json all = vectors();
  if (all.is_null()) GTEST_SKIP() << "no vectors";
  const json& golden = all["deepseek_v3_671b"];
  const ModelConfig config = deepseek(golden);
  const std::vector<float> found =
      rope_frequencies(config.qk_rope_head_dim, config.rope_theta, config.rope_scaling);
  ASSERT_EQ(found.size(), golden["inv_freq_fp32_bits"].size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto bits = std::stoul(golden["inv_freq_fp32_bits"][i].get<std::string>(), nullptr, 16);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(found[i]), bits) << i;
  }
}

TEST(RopeTest, FrequenciesOfTheDenseFamilies) {
  const json all = vectors();
  if (all.is_null()) GTEST_SKIP() << "no vectors";
  for (const auto& [name, golden] : all["others"].items()) {
    SCOPED_TRACE(name);
    json object = {{"model_type", name.starts_with("llama") ? "llama" : "qwen2"},
                   {"vocab_size", 8},
                   {"hidden_size", 4 * golden["head_dim"].get<std::int64_t>()},
                   {"intermediate_size", 8},
                   {"num_hidden_layers", 1},
                   {"num_attention_heads", 4},
                   {"max_position_embeddings", golden["max_position_embeddings"]},
                   {"rope_theta", golden["theta"]},
                   {"rope_scaling", golden["rope_scaling"]}};
    const ModelConfig config = parse_config(object.dump(), "config.json");
    const std::vector<float> found =
        rope_frequencies(config.rope_dim(), config.rope_theta, config.rope_scaling);
    ASSERT_EQ(found.size(), golden["inv_freq"].size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const float wanted = golden["inv_freq"][i];
      // A few units in the last place: powers in fp32 are not the same everywhere.
      EXPECT_NEAR(found[i], wanted, 4e-7f * wanted) << i;
    }
    const RopeTable table = make_rope_table(config, 1);
    EXPECT_EQ(table.layout, RopeLayout::halves);
    EXPECT_FLOAT_EQ(table.cos[0], golden["cos_sin_multiplier"].get<float>());
  }
}

TEST(RopeTest, TableOfDeepSeekUpToItsLastPositions) {
  const json all = vectors();
  if (all.is_null()) GTEST_SKIP() << "no vectors";
  const json& golden = all["deepseek_v3_671b"];
  const RopeTable table = make_rope_table(deepseek(golden), 131072);
  EXPECT_EQ(table.layout, RopeLayout::interleaved);
  EXPECT_EQ(table.dim, 64);
  for (const auto& [position, wanted] : golden["table_reference_fp32"].items()) {
    const std::size_t row = std::stoul(position) * 32;
    for (std::size_t i = 0; i < 32; ++i) {
      // The angle is formed as the reference forms it; what is left is the rounding to float.
      EXPECT_NEAR(table.cos[row + i], wanted["cos"][i].get<double>(), 6e-8) << position << " " << i;
      EXPECT_NEAR(table.sin[row + i], wanted["sin"][i].get<double>(), 6e-8) << position << " " << i;
    }
  }
}

// A table that has grown to 160K positions in steps is the one made at once, and never moved: a
// move would hold it twice.
TEST(RopeTest, ATableGrowsInPlace) {
  ModelConfig config;
  config.kv_lora_rank = 32;
  config.qk_rope_head_dim = 8;
  config.rope_scaling = YarnScaling{.factor = 40.0, .mscale_all_dim = 1.0};
  config.max_position_embeddings = 163840;
  RopeTable table = make_rope_table(config, 1);
  const float* const cos = table.cos.data();
  for (std::int64_t position = 1; position <= config.max_position_embeddings; position += 5000) {
    extend_rope_table(config, rope_positions(config, position), table);
    EXPECT_EQ(table.cos.data(), cos);
    EXPECT_EQ(std::ssize(table.cos), rope_positions(config, position) * 4);
  }
  EXPECT_EQ(rope_positions(config, 163840), 163840);
  EXPECT_EQ(rope_positions(config, 163841), 163840);
  EXPECT_EQ(rope_positions(config, 1025), 2048);
  const RopeTable whole = make_rope_table(config, std::ssize(table.cos) / 4);
  EXPECT_EQ(table.cos, whole.cos);
  EXPECT_EQ(table.sin, whole.sin);
}

TEST(RopeTest, SoftmaxScales) {
  const json all = vectors();
  if (all.is_null()) GTEST_SKIP() << "no vectors";
  const json& golden = all["deepseek_v3_671b"];
  ModelConfig config = deepseek(golden);
  EXPECT_FLOAT_EQ(config.softmax_scale(), golden["softmax_scale"].get<float>());
  auto& yarn = std::get<YarnScaling>(config.rope_scaling);
  yarn.mscale = yarn.mscale_all_dim = 0.707;
  EXPECT_FLOAT_EQ(config.softmax_scale(), all["deepseek_v2_lite"]["softmax_scale"].get<float>());
  config.rope_scaling = {};
  EXPECT_FLOAT_EQ(config.softmax_scale(), golden["softmax_scale_without_yarn"].get<float>());
}

// Where the two correction dimensions meet, the ramp must not divide by zero.
TEST(RopeTest, ShortContextsAndNarrowHeadsStayFinite) {
  for (const std::int64_t dim : {2, 4, 8, 64}) {
    for (const std::int64_t context : {1, 8, 4096}) {
      const YarnScaling yarn{.factor = 40.0, .original_max_position_embeddings = context};
      const std::vector<float> plain = rope_frequencies(dim, 10000.0, {});
      const std::vector<float> scaled = rope_frequencies(dim, 10000.0, yarn);
      for (std::size_t i = 0; i < scaled.size(); ++i) {
        ASSERT_TRUE(std::isfinite(scaled[i])) << dim << " " << context << " " << i;
        EXPECT_LE(scaled[i], plain[i]);
        EXPECT_GE(scaled[i], plain[i] / 40.0f * 0.999f);
      }
    }
  }
}

}  // namespace
}  // namespace r1
