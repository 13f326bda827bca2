#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/model.h"
#include "model/model_test_config.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

fs::path golden_directory() {
  const char* directory = std::getenv("R1_GOLDEN_DIR");
  return directory != nullptr ? directory : "../shared/golden";
}

// The published configurations of this architecture, with their counts.
std::vector<json> published() {
  const fs::path path = golden_directory() / "vectors" / "param_counts.json";
  std::vector<json> models;
  if (!fs::exists(path)) return models;
  for (const json& model : json::parse(std::ifstream(path))) {
    if (!model.is_object() || !model.contains("config")) continue;
    if (model["config"]["model_type"].get<std::string>().starts_with("deepseek")) {
      models.push_back(model);
    }
  }
  return models;
}

TEST(ConfigTest, CountsTheParametersOfPublishedModels) {
  const std::vector<json> models = published();
  if (models.empty()) GTEST_SKIP() << "no vectors in " << golden_directory();
  for (const json& model : models) {
    ModelConfig config = parse_config(model["config"].dump(), "config.json");
    // The angles of all positions are not what this test is about.
    config.max_position_embeddings = 16;
    const std::int64_t wanted =
        model["parameters"].get<std::int64_t>() + model["routing_bias_values"].get<std::int64_t>();
    EXPECT_EQ(count_parameters(config).total, wanted) << model["config"]["model_type"];

    Model shapes(config, Precision::bf16);
    std::int64_t tensors = 0, numbers = 0, bias = 0;
    shapes.visit_weights([&](Weight& weight) {
      ++tensors;
      numbers += weight.count();
      if (!weight.trainable) bias += weight.count();
      EXPECT_TRUE(weight.value.empty());
    });
    EXPECT_EQ(tensors, model["tensors"].get<std::int64_t>());
    EXPECT_EQ(numbers, wanted);
    EXPECT_EQ(bias, model["routing_bias_values"].get<std::int64_t>());
  }
}

// Every kind of layer, with the count against the extents of what the model visits.
TEST(ConfigTest, CountsWhatTheModelVisits) {
  for (const std::int64_t modules : {0, 2}) {
    for (const std::int64_t experts : {0, 8}) {
      for (const std::int64_t rank : {0, 20}) {
        for (const bool tied : {false, true}) {
          ModelConfig config = model_test::tiny_config();
          config.num_nextn_predict_layers = modules;
          config.n_routed_experts = experts;
          config.q_lora_rank = rank;
          config.tie_word_embeddings = tied;
          config.num_hidden_layers = 5;
          config.moe_layer_freq = 2;
          std::int64_t inside = 0, further = 0;
          Model(config, Precision::f32).visit_weights([&](Weight& weight) {
            const bool predictor = weight.name.starts_with("model.layers.5.") ||
                                   weight.name.starts_with("model.layers.6.");
            (predictor ? further : inside) += weight.count();
          });
          const ParameterCount count = count_parameters(config);
          EXPECT_EQ(count.total, inside);
          EXPECT_EQ(count.multi_token_prediction, further);
          EXPECT_LE(count.active, count.total);
        }
      }
    }
  }
}

TEST(ConfigTest, ActiveParametersLeaveOutTheExpertsNotChosen) {
  const ModelConfig config = model_test::tiny_config();
  const std::int64_t expert = 3 * config.hidden_size * config.moe_intermediate_size;
  const ParameterCount count = count_parameters(config);
  EXPECT_EQ(count.total - count.active, 2 * (8 - 3) * expert);
}

TEST(ConfigTest, WhatIsWrittenReadsBackTheSame) {
  ModelConfig config = model_test::tiny_config();
  EXPECT_EQ(parse_config(write_config(config), "config.json"), config);

  // Every field away from its default.
  config.model_type = "deepseek_v2";
  config.moe_layer_freq = 2;
  config.scoring_func = "softmax";
  config.topk_method = "group_limited_greedy";
  config.norm_topk_prob = false;
  config.routed_scaling_factor = 16.25;
  config.q_lora_rank = 0;
  config.rope_theta = 12345.5;
  config.rope_scaling = YarnScaling{3.5, 64, 16.0, 2.0, 0.707, 0.808};
  config.rms_norm_eps = 1e-5;
  config.tie_word_embeddings = true;
  config.num_nextn_predict_layers = 0;
  config.initializer_range = 0.013;
  config.bos_token_id = 5;
  config.eos_token_id = 6;
  config.torch_dtype = "float32";
  EXPECT_EQ(parse_config(write_config(config), "config.json"), config);
  config.rope_scaling.reset();
  EXPECT_EQ(parse_config(write_config(config), "config.json"), config);

  for (const json& model : published()) {
    const ModelConfig read = parse_config(model["config"].dump(), "config.json");
    EXPECT_EQ(parse_config(write_config(read), "config.json"), read);
  }
}

TEST(ConfigTest, AbsentFieldsTakeTheArchitecturesDefaults) {
  json object = json::parse(write_config(model_test::tiny_config()));
  for (const char* key : {"scoring_func", "topk_method", "norm_topk_prob", "q_lora_rank"}) {
    object.erase(key);
  }
  const ModelConfig v3 = parse_config(object.dump(), "config.json");
  EXPECT_EQ(v3.routing().score, ScoreFunction::sigmoid);
  EXPECT_EQ(v3.routing().group_score_top, 2);
  EXPECT_TRUE(v3.has_routing_bias());
  EXPECT_TRUE(v3.norm_topk_prob);
  EXPECT_EQ(v3.q_lora_rank, 0);

  object["model_type"] = "deepseek_v2";
  const ModelConfig v2 = parse_config(object.dump(), "config.json");
  EXPECT_EQ(v2.routing().score, ScoreFunction::softmax);
  EXPECT_FALSE(v2.has_routing_bias());
  EXPECT_FALSE(v2.norm_topk_prob);
  // "greedy" chooses among all experts, whatever groups the file names.
  EXPECT_EQ(v2.routing().groups, 1);
  EXPECT_EQ(v2.routing().groups_per_token, 1);
}

TEST(ConfigTest, ReadsTheFixturesConfigs) {
  for (const char* name : {"dsv3_tiny", "dsv2lite_tiny"}) {
    const fs::path path = fs::path("tests/data/golden") / name / "config.json";
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const ModelConfig config = parse_config(text, path.string());
    const json object = json::parse(text);
    EXPECT_EQ(config.model_type, object["model_type"]);
    EXPECT_EQ(config.hidden_size, object["hidden_size"]);
    EXPECT_EQ(config.n_routed_experts, object["n_routed_experts"]);
    EXPECT_EQ(config.q_lora_rank,
              object["q_lora_rank"].is_null() ? 0 : object["q_lora_rank"].get<std::int64_t>());
    ASSERT_TRUE(config.rope_scaling.has_value());
    EXPECT_EQ(config.rope_scaling->mscale_all_dim, object["rope_scaling"]["mscale_all_dim"]);
    EXPECT_EQ(parse_config(write_config(config), "config.json"), config);
  }
}

// --- what is refused, with one line that names the field

void expect_refused(const std::string& text, const std::string& named) {
  try {
    parse_config(text, "some/config.json");
    ADD_FAILURE() << "taken: " << text;
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_THAT(message, HasSubstr("some/config.json"));
    EXPECT_THAT(message, HasSubstr(named));
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

json good() { return json::parse(write_config(model_test::tiny_config())); }

TEST(ConfigTest, RefusesMissingAndMistypedFields) {
  for (const char* key :
       {"model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
        "max_position_embeddings", "moe_intermediate_size", "num_experts_per_tok"}) {
    json object = good();
    object.erase(key);
    expect_refused(object.dump(), key);
    object[key] = json::array({1});
    expect_refused(object.dump(), key);
    object[key] = nullptr;
    expect_refused(object.dump(), key);
  }
  for (const char* key :
       {"n_routed_experts", "q_lora_rank", "n_group", "rope_theta", "rms_norm_eps",
        "tie_word_embeddings", "norm_topk_prob", "scoring_func", "topk_method", "eos_token_id",
        "torch_dtype", "initializer_range", "rope_scaling", "routed_scaling_factor"}) {
    json object = good();
    object[key] = json::array({1});
    expect_refused(object.dump(), key == std::string("rope_scaling") ? "" : key);
  }
}

TEST(ConfigTest, RefusesNumbersOutOfRange) {
  for (const char* key :
       {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
        "max_position_embeddings", "moe_intermediate_size", "num_experts_per_tok", "n_group",
        "topk_group", "moe_layer_freq"}) {
    for (const json& value : {json(0), json(-1), json(std::int64_t{1} << 40), json(1.5)}) {
      json object = good();
      object[key] = value;
      expect_refused(object.dump(), key);
    }
    json object = good();
    object[key] = json::parse("18446744073709551615");
    expect_refused(object.dump(), key);
  }
  for (const char* key : {"n_routed_experts", "n_shared_experts", "q_lora_rank",
                          "num_nextn_predict_layers", "first_k_dense_replace", "eos_token_id"}) {
    for (const json& value : {json(-1), json(std::int64_t{1} << 40)}) {
      json object = good();
      object[key] = value;
      expect_refused(object.dump(), key);
    }
  }
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, double>>{{"rope_theta", 0.0},
                                                   {"rope_theta", 1.0},
                                                   {"rms_norm_eps", -1e-6},
                                                   {"initializer_range", -1.0}}) {
    json object = good();
    object[key] = value;
    expect_refused(object.dump(), key);
  }
}

TEST(ConfigTest, RefusesSizesThatNoMachineHolds) {
  json object = good();
  object["num_hidden_layers"] = 1024;
  object["n_routed_experts"] = 4096;
  expect_refused(object.dump(), "n_routed_experts");
  object = good();
  object["hidden_size"] = 1 << 18;
  object["intermediate_size"] = 1 << 18;
  object["num_hidden_layers"] = 1024;
  object["n_routed_experts"] = 0;
  expect_refused(object.dump(), "parameters");
}

TEST(ConfigTest, RefusesContradictions) {
  const auto change = [](std::initializer_list<std::pair<const char*, json>> changes) {
    json object = good();
    for (const auto& [key, value] : changes) object[key] = value;
    return object.dump();
  };
  expect_refused(change({{"n_group", 3}}), "n_group");
  expect_refused(change({{"topk_group", 5}}), "topk_group");
  expect_refused(change({{"num_experts_per_tok", 5}}), "num_experts_per_tok");
  expect_refused(change({{"n_group", 1}, {"topk_group", 1}, {"num_experts_per_tok", 9}}),
                 "num_experts_per_tok");
  expect_refused(change({{"n_group", 8}, {"topk_group", 8}}), "two experts");
  expect_refused(change({{"qk_rope_head_dim", 7}}), "qk_rope_head_dim");
  expect_refused(change({{"scoring_func", "tanh"}}), "scoring_func");
  expect_refused(change({{"topk_method", "random"}}), "topk_method");
}

TEST(ConfigTest, RefusesOtherRopeScalings) {
  const auto change = [](const json& scaling) {
    json object = good();
    object["rope_scaling"] = scaling;
    return object.dump();
  };
  const json yarn = good()["rope_scaling"];
  expect_refused(change("yarn"), "");
  expect_refused(change(json::object()), "type");
  expect_refused(change({{"type", "linear"}, {"factor", 2.0}}), "linear");
  for (const char* key : {"factor", "original_max_position_embeddings"}) {
    json scaling = yarn;
    scaling.erase(key);
    expect_refused(change(scaling), key);
  }
  for (const auto& [key, value] : std::vector<std::pair<std::string, double>>{
           {"factor", 0.5}, {"beta_slow", 0.0}, {"beta_fast", 0.5}, {"mscale", -1.0}}) {
    json scaling = yarn;
    scaling[key] = value;
    expect_refused(change(scaling), key);
  }
  json plain = good();
  plain["rope_scaling"] = {{"rope_type", "default"}};
  EXPECT_FALSE(parse_config(plain.dump(), "config.json").rope_scaling.has_value());
}

TEST(ConfigTest, RefusesOtherArchitecturesAndBrokenText) {
  json object = good();
  object["model_type"] = "mamba";
  expect_refused(object.dump(), "mamba");
  const std::string text = good().dump();
  for (std::size_t length = 0; length < text.size(); length += 37) {
    expect_refused(text.substr(0, length), "");
  }
  expect_refused("[]", "");
  expect_refused(std::string(10000, '['), "");
}

}  // namespace
}  // namespace r1
