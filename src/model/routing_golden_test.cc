// The router against the official gate, as a config of the model asks for it.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/config.h"
#include "model/layers.h"

namespace r1 {
namespace {

using nlohmann::json;

json cases() {
  const char* directory = std::getenv("R1_GOLDEN_DIR");
  const auto path = std::filesystem::path(directory != nullptr ? directory : "../shared/golden") /
                    "vectors" / "routing.json";
  return std::filesystem::exists(path) ? json::parse(std::ifstream(path))["cases"] : json::array();
}

ModelConfig config_of(const json& golden) {
  ModelConfig config;
  config.n_routed_experts = golden["n_experts"];
  config.num_experts_per_tok = golden["top_k"];
  config.n_group = golden["n_group"];
  config.topk_group = golden["topk_group"];
  config.scoring_func = golden["scoring"];
  config.norm_topk_prob = golden["norm_topk_prob"];
  config.routed_scaling_factor = golden["scale"];
  config.topk_method = !golden["bias"].is_null() ? "noaux_tc"
                       : golden["n_group"] == 1  ? "greedy"
                                                 : "group_limited_greedy";
  return config;
}

TEST(RoutingGolden, ChoosesAndWeighsAsTheOfficialGate) {
  const json all = cases();
  if (all.empty()) GTEST_SKIP() << "no vectors";
  for (const Isa isa : supported_isas()) {
    Backend backend(2, isa);
    int told_apart = 0;
    for (const json& golden : all) {
      SCOPED_TRACE(golden["name"].get<std::string>());
      const RoutingConfig config = config_of(golden).routing();
      // A gate that hands its input through, and inputs whose scores are the fixture's.
      LinearWeight gate = make_linear("gate", config.experts, config.experts);
      gate.weight.value =
          AlignedBuffer<float>(static_cast<std::size_t>(config.experts * config.experts));
      for (std::int64_t i = 0; i < config.experts; ++i) {
        gate.weight.value[static_cast<std::size_t>(i * (config.experts + 1))] = 1.0f;
      }
      gate.refresh_f32(backend, Precision::f32, false);
      const std::size_t tokens = golden["scores"].size();
      Arena arena;
      const ForwardContext ctx{backend, arena, Precision::f32, nullptr};
      const Tensor x = ctx.make({static_cast<std::int64_t>(tokens), config.experts});
      float* next = x.data;
      for (const json& row : golden["scores"]) {
        for (const double score : row) {
          *next++ = static_cast<float>(config.score == ScoreFunction::sigmoid
                                           ? std::log(score / (1.0 - score))
                                           : std::log(score));
        }
      }
      const auto bias = golden["bias"].is_null() ? std::vector<float>()
                                                 : golden["bias"].get<std::vector<float>>();
      const Routing routing = route(ctx, x, gate, bias.empty() ? nullptr : bias.data(), config);
      const std::size_t k = static_cast<std::size_t>(config.experts_per_token);
      for (std::size_t t = 0; t < tokens; ++t) {
        std::vector<std::pair<std::int32_t, float>> chosen;
        for (std::size_t slot = t * k; slot < (t + 1) * k; ++slot) {
          chosen.emplace_back(routing.experts[slot], routing.weights.data[slot]);
        }
        std::ranges::sort(chosen);
        for (std::size_t slot = 0; slot < k; ++slot) {
          EXPECT_EQ(chosen[slot].first, golden["experts"][t][slot]) << t;
          EXPECT_NEAR(chosen[slot].second, golden["weights"][t][slot].get<float>(),
                      1e-5 * golden["scale"].get<double>())
              << t;
        }
        told_apart += golden["experts"][t] != golden["experts_if_masked_with_zero"][t] ? 1 : 0;
      }
    }
    EXPECT_GT(told_apart, 0) << "no case excludes groups with negative scores";
  }
}

}  // namespace
}  // namespace r1
