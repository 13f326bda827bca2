// GGUF files against the Hugging Face checkpoints that they were written from, and the vocabularies
// of published files against their golden encodings.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "model/gguf_encode.h"
#include "model/gguf_export.h"
#include "model/gguf_tokenizer.h"
#include "model/gguf_weights.h"
#include "model/model.h"
#include "model/model_test_config.h"
#include "model/random_weights.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path fixture(const std::string& name) {
  for (const fs::path& root : {fs::path("../shared/golden"), fs::path("tests/data/golden")}) {
    if (fs::exists(root / name / "model.safetensors")) return root / name;
  }
  return {};
}

class GgufModelTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A copy of a fixture that has what published models have: Llama's scaling is from 8192 on.
  fs::path published(const std::string& name) {
    const fs::path source = fixture(name);
    if (source.empty()) return {};
    const fs::path copy = folder_ / name;
    fs::create_directories(copy);
    fs::copy_file(source / "model.safetensors", copy / "model.safetensors");
    nlohmann::json config = nlohmann::json::parse(std::ifstream(source / "config.json"));
    if (config["model_type"] == "llama") {
      config["rope_scaling"]["original_max_position_embeddings"] = 8192;
    }
    std::ofstream(copy / "config.json") << config.dump();
    return copy;
  }
  static text::Tokenizer tokenizer() { return load_model_tokenizer("tests/data/text/qwen2"); }

  fs::path folder_;
};

TEST_F(GgufModelTest, WeightsAndShapeComeBackToTheBit) {
  int fixtures = 0;  // some may not be here
  for (const std::string name : {"qwen2_tiny", "qwen2_tiny_tied", "qwen3_tiny", "llama3_tiny",
                                 "dsv3_tiny", "dsv2lite_tiny", "models/r1-zero-nano"}) {
    SCOPED_TRACE(name);
    const bool bundled = fs::exists(name);  // it has a prediction module
    if (!bundled && fixture(name).empty()) continue;
    ++fixtures;
    const auto original = WeightSource::open(bundled ? fs::path(name) : published(name));
    const fs::path file = folder_ / (fs::path(name).filename().string() + ".gguf");
    write_gguf(file, *original, bundled ? load_model_tokenizer(name) : tokenizer(),
               {.name = name, .recipe = parse_gguf_recipe("f32")});
    const auto copy = WeightSource::open(file);
    const ModelConfig expected = original->config();
    ModelConfig found = copy->config();
    // What a GGUF file does not say.
    found.initializer_range = expected.initializer_range;
    found.torch_dtype = expected.torch_dtype;
    found.bos_token_id = expected.bos_token_id;
    found.eos_token_id = expected.eos_token_id;
    found.moe_layer_freq = expected.moe_layer_freq;
    EXPECT_EQ(write_config(found), write_config(expected));
    EXPECT_FLOAT_EQ(static_cast<float>(copy->config().rms_norm_eps),
                    static_cast<float>(original->config().rms_norm_eps));

    Model model(expected, Precision::f32);
    model.visit_weights([&](const Weight& weight) {
      const AlignedBuffer<float> a = original->read(weight.name, weight.shape);
      const AlignedBuffer<float> b = copy->read(weight.name, weight.shape);
      ASSERT_EQ(a.size(), b.size());
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0) << weight.name;
    });
  }
  EXPECT_GE(fixtures, 4);
}

TEST_F(GgufModelTest, AnnouncedModulesWithoutWeightsDoNotCount) {
  const fs::path source = published("dsv3_tiny");
  nlohmann::json config = nlohmann::json::parse(std::ifstream(source / "config.json"));
  config["num_nextn_predict_layers"] = 1;
  std::ofstream(source / "config.json") << config.dump();
  EXPECT_EQ(WeightSource::open(source)->config().num_nextn_predict_layers, 0);
  EXPECT_EQ(WeightSource::open("models/r1-zero-nano")->config().num_nextn_predict_layers, 1);
}

TEST_F(GgufModelTest, YarnOfADenseModelComesBack) {
  const fs::path source = published("qwen2_tiny_tied");
  for (const double factor : {0.0, 1.5}) {  // 0: YaRN's own
    nlohmann::json config = nlohmann::json::parse(std::ifstream(source / "config.json"));
    config["rope_scaling"] = {{"rope_type", "yarn"},
                              {"factor", 4.0},
                              {"beta_fast", 24.0},
                              {"original_max_position_embeddings", 1024}};
    if (factor > 0.0) config["rope_scaling"]["attention_factor"] = factor;
    std::ofstream(source / "config.json") << config.dump();
    const auto original = WeightSource::open(source);
    const fs::path file = folder_ / fmt::format("{}.gguf", factor);
    write_gguf(file, *original, tokenizer(), {.name = "x", .recipe = parse_gguf_recipe("f32")});
    const auto copy = WeightSource::open(file);
    const ModelConfig original_config = original->config(), copy_config = copy->config();
    const YarnScaling& wanted = std::get<YarnScaling>(original_config.rope_scaling);
    const YarnScaling& found = std::get<YarnScaling>(copy_config.rope_scaling);
    EXPECT_EQ(found.factor, wanted.factor);
    EXPECT_EQ(found.beta_fast, 24.0);
    EXPECT_EQ(found.original_max_position_embeddings, 1024);
    EXPECT_FLOAT_EQ(static_cast<float>(found.attention_factor),
                    static_cast<float>(wanted.attention_factor));
  }
}

TEST_F(GgufModelTest, RefusesATokenizerLargerThanTheModel) {
  const fs::path source = published("qwen2_tiny_tied");
  nlohmann::json config = nlohmann::json::parse(std::ifstream(source / "config.json"));
  config["vocab_size"] = 300;
  std::ofstream(source / "config.json") << config.dump();
  const auto small = WeightSource::open(source);
  try {
    write_gguf(folder_ / "x.gguf", *small, tokenizer(),
               {.name = "x", .recipe = parse_gguf_recipe("f32")});
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("different models"));
  }
}

TEST_F(GgufModelTest, BlocksOfEveryTypeLoadAndStayNear) {
  const auto original = WeightSource::open(published("qwen2_tiny_tied"));
  for (const auto& [type, tolerance] : std::vector<std::pair<std::string, double>>{
           {"BF16", 0.005}, {"F16", 0.001}, {"Q8_0", 0.01}, {"Q4_0", 0.12}}) {
    SCOPED_TRACE(type);
    const fs::path file = folder_ / (type + ".gguf");
    write_gguf(file, *original, tokenizer(), {.name = "x", .recipe = parse_gguf_recipe(type)});
    const auto copy = WeightSource::open(file);
    const Shape shape{160, 64};
    const AlignedBuffer<float> a = original->read("model.layers.1.mlp.up_proj.weight", shape);
    const AlignedBuffer<float> b = copy->read("model.layers.1.mlp.up_proj.weight", shape);
    double difference = 0.0, size = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      difference += std::pow(static_cast<double>(a[i] - b[i]), 2);
      size += std::pow(static_cast<double>(a[i]), 2);
    }
    EXPECT_LT(std::sqrt(difference / size), tolerance);
    EXPECT_GT(difference, 0.0);
  }
}

TEST_F(GgufModelTest, TheNumberOfThreadsDoesNotShowAndErrorsAreThoseOfTheFile) {
  if (!fs::exists("../shared/golden/tokenizers/qwen2")) GTEST_SKIP() << "no goldens";
  const auto original = WeightSource::open(published("qwen2_tiny"));
  const auto write = [&](const std::string& name, int threads) {
    GgufExport options;
    options.recipe = parse_gguf_recipe("Q4_K_M");
    options.threads = threads;
    return write_gguf(folder_ / name, *original, tokenizer(), options);
  };
  const std::vector<WrittenTensor> one = write("one.gguf", 1), three = write("three.gguf", 3);
  const auto bytes = [&](const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(folder_ / name, std::ios::binary).rdbuf();
    return text.str();
  };
  EXPECT_EQ(bytes("one.gguf"), bytes("three.gguf"));
  const auto copy = WeightSource::open(folder_ / "one.gguf");
  EXPECT_EQ(copy->contents().count, std::ssize(one));
  int checked = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].difference, three[i].difference);
    if (one[i].name != "blk.1.ffn_up.weight") continue;
    EXPECT_EQ(one[i].wanted, GgmlType::q4_k);
    EXPECT_EQ(one[i].type, GgmlType::q8_0);  // rows of 64
    const Shape shape{160, 64};
    const AlignedBuffer<float> a = original->read("model.layers.1.mlp.up_proj.weight", shape);
    const AlignedBuffer<float> b = copy->read("model.layers.1.mlp.up_proj.weight", shape);
    double difference = 0.0, size = 0.0;
    for (std::size_t k = 0; k < a.size(); ++k) {
      difference += std::pow(static_cast<double>(a[k]) - static_cast<double>(b[k]), 2);
      size += std::pow(static_cast<double>(a[k]), 2);
    }
    EXPECT_NEAR(one[i].relative_error(), std::sqrt(difference / size), 1e-12);
    ++checked;
  }
  EXPECT_EQ(checked, 1);
}

TEST(GgufEncode, AValueThatDoesNotFitIsNamedFromAnyThread) {
  Backend backend(3);
  std::vector<float> values(200'000, 1.0f);
  values[150'000] = 1e30f;
  try {
    encode_values(backend, GgmlType::q8_0, values, "the tensor");
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the tensor"));
  }
}

TEST(GgufTypes, MixturesFollowTheLayersAndFallBackByRowLength) {
  const GgufRecipe mixed = parse_gguf_recipe("q4_k_m");
  EXPECT_EQ(gguf_type_of(mixed, "output.weight", 1536, 28, false), GgmlType::q6_k);
  EXPECT_EQ(gguf_type_of(mixed, "token_embd.weight", 1536, 28, false), GgmlType::q4_k);
  EXPECT_EQ(gguf_type_of(mixed, "token_embd.weight", 1536, 28, true), GgmlType::q6_k);
  EXPECT_EQ(gguf_type_of(mixed, "blk.0.attn_v.weight", 1536, 28, false), GgmlType::q6_k);
  EXPECT_EQ(gguf_type_of(mixed, "blk.3.attn_v.weight", 1536, 28, false), GgmlType::q4_k);
  EXPECT_EQ(gguf_type_of(mixed, "blk.5.ffn_down.weight", 8960, 28, false), GgmlType::q6_k);
  EXPECT_EQ(gguf_type_of(mixed, "blk.5.ffn_up.weight", 1536, 28, false), GgmlType::q4_k);
  EXPECT_EQ(gguf_type_of(mixed, "blk.5.ffn_up.weight", 96, 28, false), GgmlType::q8_0);
  EXPECT_EQ(gguf_type_of(mixed, "blk.5.ffn_up.weight", 80, 28, false), GgmlType::f16);
  EXPECT_THROW(parse_gguf_recipe("Q3_K"), Error);
}

TEST(GgufNames, EveryWeightHasOne) {
  EXPECT_EQ(gguf_name_of("lm_head.weight").name, "output.weight");
  EXPECT_EQ(gguf_name_of("model.layers.11.self_attn.q_proj.bias").name, "blk.11.attn_q.bias");
  const GgufName expert = gguf_name_of("model.layers.3.mlp.experts.17.down_proj.weight");
  EXPECT_EQ(expert.name, "blk.3.ffn_down_exps.weight");
  EXPECT_EQ(expert.slice, 17);
  EXPECT_EQ(gguf_name_of("model.layers.3.mlp.gate.e_score_correction_bias").name,
            "blk.3.exp_probs_b.bias");
}

std::vector<std::string> texts_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> texts(1);
  std::string line;
  bool first = true;
  while (std::getline(file, line)) {
    if (line == "__ggml_vocab_test__") {
      texts.emplace_back();
      first = true;
      continue;
    }
    if (!first) texts.back() += '\n';
    texts.back() += line;
    first = false;
  }
  return texts;
}

TEST(GgufTokenizer, PublishedVocabulariesEncodeAsTheirGoldens) {
  int checked = 0;
  for (const std::string name : {"deepseek-llm", "deepseek-coder", "gpt-2"}) {
    SCOPED_TRACE(name);
    const fs::path folder = fs::path("../shared/data/tokenizers") / name;
    if (!fs::exists(folder)) continue;
    const text::Tokenizer tokenizer =
        load_model_tokenizer(folder / ("ggml-vocab-" + name + ".gguf"));
    std::ifstream golden(folder / "golden.jsonl");
    for (std::string line; std::getline(golden, line); ++checked) {
      const nlohmann::json row = nlohmann::json::parse(line);
      EXPECT_EQ(tokenizer.encode(row["text"].get<std::string>()),
                row["ids"].get<std::vector<std::int32_t>>())
          << row["text"];
    }
    const std::vector<std::string> texts = texts_of(folder / ("ggml-vocab-" + name + ".gguf.inp"));
    std::ifstream outputs(folder / ("ggml-vocab-" + name + ".gguf.out"));
    for (const std::string& text : texts) {
      std::string line;
      if (!std::getline(outputs, line)) break;
      std::istringstream numbers(line);
      const std::vector<std::int32_t> ids{std::istream_iterator<std::int32_t>(numbers), {}};
      EXPECT_EQ(tokenizer.encode(text), ids) << text;
      ++checked;
    }
  }
  if (checked == 0) GTEST_SKIP() << "no vocabularies";
}

TEST(GgufTokenizer, RulesAreNamedHoweverAFileSpellsThem) {
  text::TokenizerSpec spec;
  spec.pre_tokenizer = text::nano_pre_tokenizer();
  EXPECT_EQ(gguf_pre_tokenizer_name(spec), "deepseek-v3");
  std::string& words = spec.pre_tokenizer.splits.back().pattern;
  for (const auto& [escape, character] :
       {std::pair<std::string, std::string>{R"(\r)", "\r"}, {R"(\n)", "\n"}}) {
    for (auto at = words.find(escape); at != words.npos; at = words.find(escape)) {
      words.replace(at, escape.size(), character);
    }
  }
  EXPECT_EQ(gguf_pre_tokenizer_name(spec), "deepseek-v3");
  words += "|x";
  EXPECT_THROW(gguf_pre_tokenizer_name(spec), Error);

  for (const std::string name : {"deepseek-llm", "deepseek-coder"}) {
    const fs::path file = "../shared/data/tokenizers/" + name + "/ggml-vocab-" + name + ".gguf";
    if (!fs::exists(file)) continue;
    EXPECT_EQ(gguf_pre_tokenizer_of(file), name);
    EXPECT_EQ(gguf_pre_tokenizer_name(load_model_tokenizer(file).spec()), "deepseek-coder");
  }
}

TEST(GgufTokenizer, RefusesWhatItDoesNotKnow) {
  const fs::path spm = "../shared/data/tokenizers/llama-spm/ggml-vocab-llama-spm.gguf";
  if (!fs::exists(spm)) GTEST_SKIP() << "no vocabularies";
  try {
    load_model_tokenizer(spm);
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("\"llama\""));
  }
}

// Also of mixed types, and for experts, which lie in one tensor.
TEST_F(GgufModelTest, BlocksOfTheWantedTypeAreCopied) {
  ModelConfig config = model_test::tiny_config();
  config.vocab_size = 8192;
  config.hidden_size = 256;
  config.intermediate_size = 512;
  config.moe_intermediate_size = 256;
  config.num_nextn_predict_layers = 0;
  const RandomWeights original(config, parse_gguf_recipe("q4_k_m"));
  const fs::path file = folder_ / "copied.gguf";
  const auto written = write_gguf(file, original, load_model_tokenizer("models/r1-zero-nano"),
                                  {.name = "x", .recipe = parse_gguf_recipe("q4_k_m")});
  const auto copy = WeightSource::open(file);
  int compared = 0;
  Model model(config, Precision::bf16);
  model.visit_weights([&](const Weight& weight) {
    if (weight.shape.rank() != 2 || weight.name.find("kv_b_proj") != std::string::npos) return;
    const auto wanted = original.stored(weight.name, weight.shape);
    const auto found = copy->stored(weight.name, weight.shape);
    ASSERT_TRUE(wanted && found) << weight.name;
    EXPECT_EQ(found->type, wanted->type) << weight.name;
    EXPECT_TRUE(std::ranges::equal(found->bytes, wanted->bytes)) << weight.name;
    ++compared;
  });
  EXPECT_GT(compared, 50);
}

}  // namespace
}  // namespace r1
