#include "model/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "backend/matmul.h"
#include "model/model_test_config.h"
#include "model/published_shapes.h"
#include "model/random_weights.h"

namespace r1 {
namespace {

using Kind = MemoryVerdict::Kind;

std::int64_t part(const MemoryPlan& plan, std::string_view name) {
  const auto found = std::ranges::find(plan.parts, name, &MemoryPlan::Part::name);
  return found == plan.parts.end() ? 0 : found->bytes;
}

std::int64_t in_huge_pages(std::int64_t bytes) {
  constexpr std::int64_t kPage = 2 << 20;
  return (bytes + kPage - 1) / kPage * kPage;
}

// A dense model whose sizes can be counted by hand.
ModelConfig dense() {
  ModelConfig config;
  config.model_type = "qwen2";
  config.vocab_size = 4096;
  config.hidden_size = 1024;
  config.intermediate_size = 4096;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 8;
  config.num_key_value_heads = 2;
  config.head_dim = 128;
  config.max_position_embeddings = 8192;
  return config;
}

TEST(MemoryPlan, CountsADenseModel) {
  const MemoryPlan plan = plan_memory(RandomWeights(dense(), parse_gguf_recipe("q8_0")), {4000, 3});
  const auto q8_0 = [](std::int64_t numbers) { return numbers / 32 * 34; };
  EXPECT_EQ(part(plan, "embedding"), in_huge_pages(q8_0(4096 * 1024)));
  EXPECT_EQ(part(plan, "output head"), in_huge_pages(q8_0(4096 * 1024)));
  EXPECT_EQ(part(plan, "feed-forward"), 2 * 3 * in_huge_pages(q8_0(4096 * 1024)));
  // Too small for huge pages.
  EXPECT_EQ(part(plan, "attention"), 2 * q8_0(2 * 1024 * 1024 + 2 * 256 * 1024));
  EXPECT_EQ(part(plan, "norms and others"), 5 * 1024 * 4);
  EXPECT_EQ(part(plan, "rotations"), 2 * 4096 * 64 * 4);  // of 4000 positions, in steps of 1024
  EXPECT_EQ(part(plan, "routed experts"), 0);
  // Two layers, keys and values of two heads, pages of whole positions.
  const std::int64_t positions = (4000 + kPageTokens - 1) / kPageTokens * kPageTokens * 3;
  EXPECT_EQ(plan.cache_plain, positions * 2 * 512 * 2);
  EXPECT_EQ(plan.cache_q8_0, positions * 2 * 512 / 32 * 34);
  EXPECT_EQ(plan.total(), plan.weights() + plan.cache_plain + plan.workspace);
}

TEST(MemoryPlan, CountsExpertsAsTheirMemoryHoldsThem) {
  ModelConfig config = published_shape("deepseek-v2-lite");
  config.num_hidden_layers = 3;
  config.max_position_embeddings = 4096;
  const RandomWeights source(config, parse_gguf_recipe("bf16"));
  const MemoryPlan plan = plan_memory(source, {});
  EXPECT_TRUE(plan.experts_on_demand);
  // Two layers of 64 experts, three matrices each, in bf16.
  const std::int64_t expert = std::int64_t{3} * 2048 * 1408 * 2;
  EXPECT_EQ(plan.routed_experts, in_huge_pages(2 * 64 * expert));
  EXPECT_EQ(plan.least_experts, 64 * expert);
  EXPECT_EQ(part(plan, "routed experts"), plan.routed_experts);
  EXPECT_EQ(part(plan, "routers"), 2 * 64 * 2048 * 4);
  EXPECT_EQ(plan.context, 4096);
  EXPECT_EQ(plan.cache_plain, std::int64_t{3} * 4096 * 576 * 2);
  // Beyond what is asked of the matrices nothing is left out.
  EXPECT_GE(plan.weights(), weight_bytes(source).total);
}

TEST(MemoryPlan, CountsEveryPartOfATinyModel) {
  ModelConfig config = model_test::tiny_config();
  config.num_nextn_predict_layers = 0;  // these have no place in a recipe of types
  const MemoryPlan plan = plan_memory(RandomWeights(config, parse_gguf_recipe("f32")), {});
  for (const char* name : {"embedding", "attention", "routed experts", "shared experts", "routers",
                           "feed-forward", "output head", "rotations", "norms and others"}) {
    EXPECT_GT(part(plan, name), 0) << name;
  }
  // 22 numbers in a row are no block.
  EXPECT_EQ(plan.cache_q8_0, 0);
}

TEST(MemoryPlan, JudgesWhatRuns) {
  MemoryPlan plan;
  plan.parts = {{"routed experts", 800}, {"attention", 100}};
  plan.routed_experts = 800;
  plan.least_experts = 200;
  plan.context = 10 * kPageTokens;
  plan.cache_plain = 100;
  plan.workspace = 50;
  EXPECT_EQ(judge(plan, 1050).kind, Kind::fits);
  MemoryVerdict verdict = judge(plan, 1049);
  EXPECT_EQ(verdict.kind, Kind::short_context);
  EXPECT_EQ(verdict.context, 9 * kPageTokens);
  EXPECT_EQ(judge(plan, 960).context, kPageTokens);
  EXPECT_EQ(judge(plan, 959).kind, Kind::too_large);
  plan.experts_on_demand = true;
  EXPECT_EQ(judge(plan, 1049).kind, Kind::short_context);
  verdict = judge(plan, 980);  // the context would be a third
  EXPECT_EQ(verdict.kind, Kind::on_demand);
  EXPECT_EQ(verdict.budget, 830);
  EXPECT_EQ(verdict.context, plan.context);
  EXPECT_EQ(judge(plan, 450).kind, Kind::on_demand);
  EXPECT_EQ(judge(plan, 449).kind, Kind::too_large);
}

TEST(MemoryPlan, KnowsTheMachine) { EXPECT_GT(machine_memory(), std::int64_t{1} << 28); }

}  // namespace
}  // namespace r1
