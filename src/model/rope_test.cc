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

TEST(RopeTest, FrequenciesWithoutScaling) {
  const json all = vectors();
  if (all.is_null()) GTEST_SKIP() << "no vectors";
  const json& golden = all["others"]["qwen2.5 default theta 1e6 head_dim 128"];
  const std::vector<float> found =
      rope_frequencies(golden["head_dim"], golden["theta"], std::nullopt);
  ASSERT_EQ(found.size(), golden["inv_freq"].size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const float wanted = golden["inv_freq"][i];
    // One unit in the last place: powers in fp32 are not the same everywhere.
    EXPECT_NEAR(found[i], wanted, 1.2e-7f * wanted) << i;
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

TEST(RopeTest, SoftmaxScales) {
  const json all = vectors();
  if (all.is_null()) GTEST_SKIP() << "no vectors";
  const json& golden = all["deepseek_v3_671b"];
  ModelConfig config = deepseek(golden);
  EXPECT_FLOAT_EQ(config.softmax_scale(), golden["softmax_scale"].get<float>());
  config.rope_scaling->mscale = config.rope_scaling->mscale_all_dim = 0.707;
  EXPECT_FLOAT_EQ(config.softmax_scale(), all["deepseek_v2_lite"]["softmax_scale"].get<float>());
  config.rope_scaling.reset();
  EXPECT_FLOAT_EQ(config.softmax_scale(), golden["softmax_scale_without_yarn"].get<float>());
}

// Where the two correction dimensions meet, the ramp must not divide by zero.
TEST(RopeTest, ShortContextsAndNarrowHeadsStayFinite) {
  for (const std::int64_t dim : {2, 4, 8, 64}) {
    for (const std::int64_t context : {1, 8, 4096}) {
      const YarnScaling yarn{.factor = 40.0, .original_max_position_embeddings = context};
      const std::vector<float> plain = rope_frequencies(dim, 10000.0, std::nullopt);
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
