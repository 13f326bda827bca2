#include "model/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "formats/safetensors.h"
#include "model/model_test_config.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

std::vector<float> copy_of(const Tensor& tensor) {
  return {tensor.data, tensor.data + tensor.shape.count()};
}

// Logits of the model and, behind them, of its prediction modules, for one sequence.
std::vector<float> all_logits(Backend& backend, Model& model, std::span<const std::int32_t> ids) {
  Arena arena;
  const ForwardContext ctx{backend, arena, model.precision(), nullptr};
  Batch batch;
  batch.append(ids);
  const Tensor states = model.forward(ctx, batch);
  std::vector<float> logits = copy_of(linear(ctx, states, model.head()));
  Tensor previous = states;
  for (std::int64_t depth = 0; depth < model.prediction_modules(); ++depth) {
    std::vector<std::int32_t> next(ids.begin(), ids.end());
    std::rotate(next.begin(), next.begin() + depth + 1, next.end());
    const auto further = model.predict_further(ctx, depth, previous, next, batch);
    const std::vector<float> part = copy_of(linear(ctx, further.normed, model.head()));
    logits.insert(logits.end(), part.begin(), part.end());
    previous = further.residual;
  }
  return logits;
}

class ModelTest : public testing::TestWithParam<Precision> {
 protected:
  ModelTest()
      : directory_(fs::path(testing::TempDir()) / fmt::format("r1-model-test-{}", getpid())) {
    fs::create_directories(directory_);
  }
  ~ModelTest() override { fs::remove_all(directory_); }

  std::unique_ptr<Model> make(const ModelConfig& config) {
    auto model = Model::initialise(backend_, config, GetParam(), 7);
    // Biases and norms away from their first values, so that losing them shows.
    std::uint32_t stream = 1000;
    model->visit_weights([&](Weight& weight) {
      Rng rng(8, stream++);
      if (weight.shape.rank() != 1) return;
      for (float& value : weight.value) value += 0.25f * rng.normal();
    });
    model->refresh(backend_);
    return model;
  }
  // What loading the directory complains of.
  std::string complaint() {
    try {
      Model::load(backend_, directory_, GetParam(), false);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return error.what();
    }
    return "none";
  }

  Backend backend_{2};
  fs::path directory_;
};

TEST_P(ModelTest, SavedAndLoadedGivesTheSameBits) {
  for (const bool tied : {false, true}) {
    ModelConfig config = model_test::tiny_config();
    config.tie_word_embeddings = tied;
    config.num_nextn_predict_layers = 2;
    const auto model = make(config);
    model->save(directory_);
    const std::vector<std::int32_t> ids = model_test::random_tokens(config, 1, 80);
    const std::vector<float> wanted = all_logits(backend_, *model, ids);
    EXPECT_GT(*std::ranges::max_element(wanted) - *std::ranges::min_element(wanted), 1.0f);
    for (const bool training : {false, true}) {
      const auto loaded = Model::load(backend_, directory_, LoadOptions{.training = training});
      EXPECT_EQ(loaded->precision(), GetParam());
      EXPECT_EQ(loaded->training(), training);
      EXPECT_TRUE(same_bits(all_logits(backend_, *loaded, ids), wanted))
          << "tied " << tied << " training " << training;
    }
    // A second save gives the same file.
    const std::string first = read_text_file(directory_ / "model.safetensors", 1 << 24);
    Model::load(backend_, directory_, LoadOptions{.training = true})->save(directory_);
    EXPECT_EQ(read_text_file(directory_ / "model.safetensors", 1 << 24), first);
  }
}

TEST_P(ModelTest, InferenceKeepsNoMasters) {
  ModelConfig config = model_test::tiny_config();
  config.tie_word_embeddings = true;
  make(config)->save(directory_);
  const auto model = Model::load(backend_, directory_, LoadOptions{});
  model->visit_weights([](Weight& weight) {
    EXPECT_EQ(weight.value.empty(), weight.trainable) << weight.name;
    EXPECT_TRUE(weight.gradient.empty()) << weight.name;
  });
  EXPECT_TRUE(model->head().weight.value.empty());
}

TEST_P(ModelTest, CachedInPiecesIsTheTrainingForward) {
  const ModelConfig config = model_test::tiny_config();
  const auto model = make(config);
  const std::vector<std::int32_t> ids = model_test::random_tokens(config, 2, 150);
  Arena arena;
  Tape tape(arena);
  const ForwardContext training{backend_, arena, GetParam(), &tape};
  Batch whole;
  whole.append(model_test::random_tokens(config, 3, 9));  // company
  whole.append(ids);
  const Tensor states = model->forward(training, whole);

  KvCache cache(config.num_hidden_layers, config.kv_row_size(), GetParam(), 4);
  const std::vector<std::int32_t> pages = {3, 0, 2};
  Rng rng(4);
  std::size_t done = 0;
  while (done < ids.size()) {
    const std::size_t count = std::min<std::size_t>(1 + rng.below(40), ids.size() - done);
    Arena scratch;
    const ForwardContext inference{backend_, scratch, GetParam(), nullptr};
    Batch piece;
    piece.cache = &cache;
    piece.append(std::span(ids).subspan(done, count), static_cast<std::int64_t>(done), pages);
    const Tensor found = model->forward(inference, piece);
    ASSERT_TRUE(same_bits({found.data, static_cast<std::size_t>(found.shape.count())},
                          {states.row(9 + static_cast<std::int64_t>(done)),
                           static_cast<std::size_t>(found.shape.count())}))
        << done << " and " << count << " more";
    done += count;
  }
}

TEST_P(ModelTest, NamesAndExtentsAreThoseOfPublishedCheckpoints) {
  const ModelConfig config = model_test::tiny_config();
  make(config)->save(directory_);
  const auto file = SafetensorsFile::open(directory_ / "model.safetensors");
  using Extents = std::vector<std::int64_t>;
  const std::map<std::string, Extents> wanted = {
      {"model.embed_tokens.weight", {61, 24}},
      {"model.layers.0.input_layernorm.weight", {24}},
      {"model.layers.0.post_attention_layernorm.weight", {24}},
      {"model.layers.0.self_attn.q_a_proj.weight", {20, 24}},
      {"model.layers.0.self_attn.q_a_layernorm.weight", {20}},
      {"model.layers.0.self_attn.q_b_proj.weight", {2 * 14, 20}},
      {"model.layers.0.self_attn.kv_a_proj_with_mqa.weight", {22, 24}},
      {"model.layers.0.self_attn.kv_a_layernorm.weight", {16}},
      {"model.layers.0.self_attn.kv_b_proj.weight", {2 * 18, 16}},
      {"model.layers.0.self_attn.o_proj.weight", {24, 20}},
      {"model.layers.0.mlp.gate_proj.weight", {40, 24}},
      {"model.layers.0.mlp.up_proj.weight", {40, 24}},
      {"model.layers.0.mlp.down_proj.weight", {24, 40}},
      {"model.layers.1.mlp.gate.weight", {8, 24}},
      {"model.layers.1.mlp.gate.e_score_correction_bias", {8}},
      {"model.layers.2.mlp.experts.7.gate_proj.weight", {16, 24}},
      {"model.layers.2.mlp.experts.0.up_proj.weight", {16, 24}},
      {"model.layers.2.mlp.experts.0.down_proj.weight", {24, 16}},
      {"model.layers.2.mlp.shared_experts.down_proj.weight", {24, 16}},
      {"model.layers.3.enorm.weight", {24}},
      {"model.layers.3.hnorm.weight", {24}},
      {"model.layers.3.eh_proj.weight", {24, 48}},
      {"model.layers.3.shared_head.norm.weight", {24}},
      {"model.layers.3.self_attn.o_proj.weight", {24, 20}},
      {"model.layers.3.mlp.gate.e_score_correction_bias", {8}},
      {"model.norm.weight", {24}},
      {"lm_head.weight", {61, 24}},
  };
  for (const auto& [name, extents] : wanted) {
    const TensorInfo* tensor = file.find(name);
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_EQ(tensor->shape, extents) << name;
    const bool bias = name.ends_with("bias");
    EXPECT_EQ(tensor->dtype, bias || GetParam() == Precision::f32 ? DType::f32 : DType::bf16)
        << name;
  }
  // Per layer 9 of attention and norms; 3 of a dense one, 2 + 8 * 3 + 3 of a mixture.
  EXPECT_EQ(std::ssize(file.names()), 3 + (9 + 3) + 2 * (9 + 29) + (9 + 29 + 4));
}

TEST_P(ModelTest, CopiesAreIndependent) {
  const ModelConfig config = model_test::tiny_config();
  const auto source = make(config);
  const auto copy = Model::initialise(backend_, config, GetParam(), 99);
  const std::vector<std::int32_t> ids = model_test::random_tokens(config, 5, 30);
  const std::vector<float> wanted = all_logits(backend_, *source, ids);
  EXPECT_FALSE(same_bits(all_logits(backend_, *copy, ids), wanted));
  const std::uint64_t version = copy->version();
  copy->copy_weights(backend_, *source);
  EXPECT_GT(copy->version(), version);
  EXPECT_TRUE(same_bits(all_logits(backend_, *copy, ids), wanted));
  source->visit_weights(
      [](Weight& weight) { std::fill(weight.value.begin(), weight.value.end(), 0.5f); });
  source->refresh(backend_);
  EXPECT_TRUE(same_bits(all_logits(backend_, *copy, ids), wanted));
}

TEST_P(ModelTest, TheSeedDecidesTheFirstWeights) {
  const ModelConfig config = model_test::tiny_config();
  const auto weights = [&](std::uint64_t seed) {
    std::vector<float> all;
    Model::initialise(backend_, config, GetParam(), seed)->visit_weights([&](Weight& weight) {
      all.insert(all.end(), weight.value.begin(), weight.value.end());
    });
    return all;
  };
  EXPECT_TRUE(same_bits(weights(1), weights(1)));
  EXPECT_FALSE(same_bits(weights(1), weights(2)));
}

// --- directories that do not hold what they say

TEST_P(ModelTest, RefusesAMissingTensor) {
  make(model_test::tiny_config())->save(directory_);
  const fs::path path = directory_ / "model.safetensors";
  for (const std::string name : {"model.layers.3.eh_proj.weight", "lm_head.weight",
                                 "model.layers.1.mlp.experts.5.up_proj.weight",
                                 "model.layers.2.mlp.gate.e_score_correction_bias"}) {
    make(model_test::tiny_config())->save(directory_);
    const std::string bytes = read_text_file(path, 1 << 24);
    {
      const auto file = SafetensorsFile::parse(std::as_bytes(std::span(bytes)), "copy");
      std::vector<TensorInfo> kept(file.tensors().begin(), file.tensors().end());
      std::erase_if(kept, [&](const TensorInfo& tensor) { return tensor.name == name; });
      save_safetensors(path, kept);
    }
    EXPECT_THAT(complaint(), HasSubstr(name));
  }
}

TEST_P(ModelTest, RefusesOtherExtentsThanTheConfigs) {
  make(model_test::tiny_config())->save(directory_);
  ModelConfig config = parse_config(read_text_file(directory_ / "config.json", 1 << 20), "config");
  for (const auto& change : std::vector<std::function<void(ModelConfig&)>>{
           [](ModelConfig& c) { c.vocab_size = 62; }, [](ModelConfig& c) { c.hidden_size = 32; },
           [](ModelConfig& c) { c.v_head_dim = 9; }, [](ModelConfig& c) { c.kv_lora_rank = 17; },
           [](ModelConfig& c) { c.vocab_size = 1 << 20; },
           [](ModelConfig& c) { c.intermediate_size = 1 << 18; }}) {
    ModelConfig other = config;
    change(other);
    write_file_atomically(directory_ / "config.json", write_config(other));
    const std::string message = complaint();
    EXPECT_THAT(message, HasSubstr("tensor \"model."));
    EXPECT_THAT(message, HasSubstr("config.json asks for ["));
  }
  // More layers or experts than there are tensors.
  for (const auto& change : std::vector<std::function<void(ModelConfig&)>>{
           [](ModelConfig& c) { c.num_nextn_predict_layers = 2; },
           [](ModelConfig& c) { c.n_shared_experts = 2; },
           [](ModelConfig& c) { c.q_lora_rank = 0; },
           [](ModelConfig& c) { c.first_k_dense_replace = 2; }}) {
    ModelConfig other = config;
    change(other);
    write_file_atomically(directory_ / "config.json", write_config(other));
    EXPECT_THAT(complaint(), HasSubstr("model.layers."));
  }
}

TEST_P(ModelTest, RefusesBrokenDirectories) {
  EXPECT_THAT(complaint(), HasSubstr("config.json"));
  make(model_test::tiny_config())->save(directory_);
  const std::string config = read_text_file(directory_ / "config.json", 1 << 20);
  auto object = nlohmann::json::parse(config);
  object["model_type"] = "bert";
  write_file_atomically(directory_ / "config.json", object.dump());
  EXPECT_THAT(complaint(), HasSubstr("\"bert\" is not supported"));
  object = nlohmann::json::parse(config);
  object["max_position_embeddings"] = 1 << 24;
  object["qk_rope_head_dim"] = 4096;
  write_file_atomically(directory_ / "config.json", object.dump());
  EXPECT_THAT(complaint(), HasSubstr("max_position_embeddings"));
  write_file_atomically(directory_ / "config.json", config);

  const fs::path path = directory_ / "model.safetensors";
  const std::string bytes = read_text_file(path, 1 << 24);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{5}, std::size_t{200}, bytes.size() / 2, bytes.size() - 1}) {
    write_file_atomically(path, bytes.substr(0, length));
    EXPECT_THAT(complaint(), HasSubstr("model.safetensors"));
  }
  fs::remove(path);
  EXPECT_THAT(complaint(), HasSubstr("model.safetensors"));
}

INSTANTIATE_TEST_SUITE_P(Precisions, ModelTest, testing::Values(Precision::f32, Precision::bf16),
                         [](const testing::TestParamInfo<Precision>& test) {
                           return test.param == Precision::f32 ? "f32" : "bf16";
                         });

}  // namespace
}  // namespace r1
