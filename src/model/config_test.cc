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
  config.rope_scaling = {};
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
    const YarnScaling* yarn = std::get_if<YarnScaling>(&config.rope_scaling);
    ASSERT_NE(yarn, nullptr);
    EXPECT_EQ(yarn->mscale_all_dim, object["rope_scaling"]["mscale_all_dim"]);
    EXPECT_EQ(parse_config(write_config(config), "config.json"), config);
  }
}

json dense(const std::string& model_type) {
  return {{"model_type", model_type}, {"vocab_size", 512},
          {"hidden_size", 64},        {"intermediate_size", 160},
          {"num_hidden_layers", 3},   {"num_attention_heads", 4},
          {"num_key_value_heads", 2}, {"max_position_embeddings", 4096},
          {"bos_token_id", nullptr},  {"eos_token_id", {7, 9}},
          {"dtype", "float16"}};
}

TEST(ConfigTest, DenseFamiliesTakeTheirDefaults) {
  const ModelConfig qwen2 = parse_config(dense("qwen2").dump(), "config.json");
  EXPECT_FALSE(qwen2.has_latent_attention());
  EXPECT_EQ(qwen2.head_dim, 16);
  EXPECT_EQ(qwen2.kv_row_size(), 2 * 2 * 16);
  EXPECT_TRUE(qwen2.attention_bias);
  EXPECT_FALSE(qwen2.attention_output_bias);
  EXPECT_FALSE(qwen2.qk_norm);
  EXPECT_EQ(qwen2.eos_token_id, 7);
  EXPECT_EQ(qwen2.bos_token_id, 0);
  EXPECT_EQ(qwen2.torch_dtype, "float16");
  EXPECT_FLOAT_EQ(qwen2.softmax_scale(), 0.25f);
  const ModelConfig qwen3 = parse_config(dense("qwen3").dump(), "config.json");
  EXPECT_EQ(qwen3.head_dim, 128);
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_FALSE(qwen3.attention_bias);
  json llama = dense("llama");
  llama.erase("num_key_value_heads");
  llama["attention_bias"] = true;
  llama["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 500000.0}};
  const ModelConfig read = parse_config(llama.dump(), "config.json");
  EXPECT_EQ(read.num_key_value_heads, 4);
  EXPECT_TRUE(read.attention_output_bias);
  EXPECT_EQ(read.rope_theta, 500000.0);
  for (const ModelConfig& config : {qwen2, qwen3, read}) {
    EXPECT_EQ(parse_config(write_config(config), "config.json"), config);
  }
}

TEST(ConfigTest, DenseFamiliesScaleTheirRotation) {
  json object = dense("llama");
  object["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", 8.0},
                            {"low_freq_factor", 1.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 8192}};
  const ModelConfig llama = parse_config(object.dump(), "config.json");
  EXPECT_EQ(std::get<Llama3Scaling>(llama.rope_scaling), (Llama3Scaling{8.0, 1.0, 4.0, 8192}));
  EXPECT_EQ(parse_config(write_config(llama), "config.json"), llama);
  object = dense("qwen2");
  object["rope_scaling"] = {{"type", "yarn"}, {"factor", 4.0}};
  const ModelConfig qwen = parse_config(object.dump(), "config.json");
  const YarnScaling& yarn = std::get<YarnScaling>(qwen.rope_scaling);
  EXPECT_EQ(yarn.original_max_position_embeddings, 4096);
  EXPECT_NEAR(yarn.attention_factor, 0.1 * std::log(4.0) + 1.0, 1e-12);
  EXPECT_EQ(parse_config(write_config(qwen), "config.json"), qwen);
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
        "tie_word_embeddings", "norm_topk_prob", "scoring_func", "topk_method", "torch_dtype",
        "initializer_range", "rope_scaling", "routed_scaling_factor"}) {
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

TEST(ConfigTest, RefusesWhatDenseFamiliesDoNotHave) {
  const auto change = [](const char* key, const json& value) {
    json object = dense("llama");
    object[key] = value;
    return object.dump();
  };
  expect_refused(change("num_key_value_heads", 3), "num_key_value_heads");
  expect_refused(change("head_dim", 15), "head_dim");
  expect_refused(change("mlp_bias", true), "mlp_bias");
  expect_refused(change("use_sliding_window", true), "sliding-window");
  expect_refused(change("eos_token_id", json::array({-1})), "eos_token_id");
  expect_refused(change("rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}),
                 "low_freq_factor");
  expect_refused(change("rope_scaling", {{"rope_type", "dynamic"}, {"factor", 8.0}}), "dynamic");
  expect_refused(change("model_type", "mistral"), "mistral");
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
  EXPECT_EQ(parse_config(plain.dump(), "config.json").rope_scaling, RopeScaling{});
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
