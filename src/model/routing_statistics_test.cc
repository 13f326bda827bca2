#include "model/routing_statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "model/model_test_config.h"

namespace r1 {
namespace {

using testing::ElementsAre;

TEST(RoutingStatistics, DescribeALoad) {
  LayerRouting layer{.layer = 3, .tokens = 8, .load = {4, 0, 8, 4}};
  EXPECT_DOUBLE_EQ(layer.imbalance(), 2.0);
  EXPECT_EQ(layer.unused(), 1);
  EXPECT_THAT(layer.busiest(3), ElementsAre(2, 0, 3));
  EXPECT_NEAR(layer.evenness(), 0.75, 1e-12);  // 1.5 bits of 2
  layer.load = {5, 5, 5, 5};
  EXPECT_DOUBLE_EQ(layer.imbalance(), 1.0);
  EXPECT_NEAR(layer.evenness(), 1.0, 1e-12);
}

TEST(RoutingStatistics, CountEveryTokenOnceForEachOfItsExperts) {
  Backend backend(2);
  ModelConfig config = model_test::tiny_config();
  config.max_position_embeddings = 2000;
  const auto model = Model::initialise(backend, config, Precision::bf16, 4);
  const auto ids = model_test::random_tokens(config, 5, 700);  // two chunks
  const std::vector<LayerRouting> layers = measure_routing(backend, *model, ids);
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_EQ(layers[0].layer, 1);
  EXPECT_EQ(layers[1].layer, 2);
  for (const LayerRouting& layer : layers) {
    EXPECT_EQ(layer.tokens, 700);
    EXPECT_EQ(std::accumulate(layer.load.begin(), layer.load.end(), std::int64_t{0}),
              700 * config.num_experts_per_tok);
  }
  EXPECT_THROW(measure_routing(backend, *model, {}), Error);
  EXPECT_THROW(measure_routing(backend, *model, model_test::random_tokens(config, 5, 2001)), Error);
}

}  // namespace
}  // namespace r1
