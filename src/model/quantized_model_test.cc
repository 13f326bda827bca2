// Whole models on quantised weights: the law of the bf16 mode, and experts that come and go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "model/model.h"
#include "model/model_test_config.h"
#include "model/random_weights.h"

namespace r1 {
namespace {

using testing::HasSubstr;

// Rows long enough for the K formats.
ModelConfig experts_config() {
  ModelConfig config = model_test::tiny_config();
  config.hidden_size = 256;
  config.intermediate_size = 512;
  config.moe_intermediate_size = 256;
  config.q_lora_rank = 256;
  config.kv_lora_rank = 256;
  config.v_head_dim = 128;
  config.num_nextn_predict_layers = 0;
  return config;
}

ModelConfig dense_config() {
  ModelConfig config;
  config.model_type = "qwen2";
  config.vocab_size = 70;
  config.hidden_size = 256;
  config.intermediate_size = 512;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 64;
  config.attention_bias = true;
  config.max_position_embeddings = 256;
  return config;
}

// The same weights, but handed out as numbers only.
class Decoded : public WeightSource {
 public:
  explicit Decoded(std::shared_ptr<const WeightSource> source) : source_(std::move(source)) {}
  const ModelConfig& config() const override { return source_->config(); }
  StoredTensors contents() const override { return source_->contents(); }
  AlignedBuffer<float> read(const std::string& name, const Shape& shape) const override {
    return source_->read(name, shape);
  }
  std::optional<StoredRows> stored(const std::string&, const Shape&) const override { return {}; }

 private:
  std::shared_ptr<const WeightSource> source_;
};

class QuantizedModelTest : public testing::Test {
 protected:
  std::vector<float> logits(Model& model, std::span<const std::int32_t> ids) {
    Arena arena;
    const ForwardContext ctx{backend_, arena, model.precision(), nullptr};
    Batch batch;
    batch.append(ids);
    const Tensor out = linear(ctx, model.forward(ctx, batch), model.head());
    return {out.data, out.data + out.shape.count()};
  }
  std::unique_ptr<Model> load(std::shared_ptr<const WeightSource> source, LoadOptions options) {
    return Model::load(backend_, std::move(source), Precision::bf16, options);
  }

  Backend backend_{2};
};

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

TEST_F(QuantizedModelTest, InTheBf16ModeIsTheModelOfTheDecodedWeights) {
  for (const ModelConfig& config : {dense_config(), experts_config()}) {
    for (const char* type : {"fp8", "bf16", "q8_0", "q4_0", "q4_k_m", "q5_k"}) {
      const std::shared_ptr<const WeightSource> source = RandomWeights::of_type(config, type);
      const auto ids = model_test::random_tokens(config, 1, 40);
      const auto stored = load(source, {.quantized = QuantizedProduct::bf16});
      const auto decoded = load(std::make_shared<Decoded>(source), {});
      EXPECT_TRUE(same_bits(logits(*stored, ids), logits(*decoded, ids)))
          << config.model_type << ' ' << type;
    }
  }
}

TEST_F(QuantizedModelTest, InTheInt8ModeStaysCloseAndDoesNotDependOnCompany) {
  for (const ModelConfig& config : {dense_config(), experts_config()}) {
    const auto source = std::make_shared<RandomWeights>(config, parse_gguf_recipe("q4_k_m"));
    const auto exact = load(source, {.quantized = QuantizedProduct::bf16});
    const auto model = load(source, {.quantized = QuantizedProduct::int8});
    const auto ids = model_test::random_tokens(config, 2, 40);
    const std::vector<float> wanted = logits(*exact, ids), found = logits(*model, ids);
    double error = 0, size = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      error += std::pow(found[i] - wanted[i], 2);
      size += std::pow(wanted[i], 2);
    }
    // A token that is routed to another expert by a hair makes the larger part.
    EXPECT_LT(std::sqrt(error / size), config.n_routed_experts > 0 ? 0.2 : 0.03);
    EXPECT_GT(error, 0.0);
    const std::vector<float> prefix = logits(*model, std::span(ids).first(7));
    EXPECT_TRUE(same_bits(prefix, std::span(found).first(prefix.size())));
  }
}

class ExpertsOnDemandTest : public QuantizedModelTest,
                            public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Types, ExpertsOnDemandTest, testing::Values("q4_k_m", "fp8"));

TEST_P(ExpertsOnDemandTest, ExpertsThatComeAndGoGiveTheSameBits) {
  const ModelConfig config = experts_config();
  const std::shared_ptr<const WeightSource> source = RandomWeights::of_type(config, GetParam());
  const auto whole = load(source, {});
  ASSERT_NE(whole->expert_memory(), nullptr);
  const std::int64_t experts = whole->expert_memory()->slots();
  EXPECT_EQ(experts, 16);  // two layers of eight
  const std::int64_t slot = whole->expert_memory()->bytes() / experts;

  // The smallest budget that does.
  std::int64_t budget = slot;
  std::unique_ptr<Model> tight;
  while (tight == nullptr) {
    try {
      tight = load(source, {.memory = budget});
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("a layer has 8"));
      budget += slot;
    }
  }
  EXPECT_EQ(tight->expert_memory()->slots(), 8);
  for (const std::uint64_t seed : {3, 4, 5}) {
    const auto ids = model_test::random_tokens(config, seed, 6);
    EXPECT_TRUE(same_bits(logits(*tight, ids), logits(*whole, ids)));
  }
  // Each pass through two layers drives the other layer's experts out.
  EXPECT_GT(tight->expert_memory()->stats().packed, 2 * 8);
  EXPECT_EQ(whole->expert_memory()->stats().packed, experts);
  // One more slot than needed keeps at least one expert from pass to pass.
  const auto roomy = load(source, {.memory = budget + 7 * slot});
  EXPECT_EQ(roomy->expert_memory()->slots(), 15);
  const auto ids = model_test::random_tokens(config, 6, 6);
  EXPECT_TRUE(same_bits(logits(*roomy, ids), logits(*whole, ids)));
  const std::int64_t before = roomy->expert_memory()->stats().packed;
  logits(*roomy, ids);
  EXPECT_LE(roomy->expert_memory()->stats().packed - before, 2);
}

TEST_F(QuantizedModelTest, ABudgetNeedsRowsThatCanBePackedLater) {
  const auto source = std::make_shared<RandomWeights>(experts_config(), parse_gguf_recipe("q8_0"));
  try {
    load(std::make_shared<Decoded>(source), {.memory = 1 << 30});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot be read on demand"));
  }
}

TEST_F(QuantizedModelTest, ABudgetThatADenseModelExceedsIsRefused) {
  const auto source = std::make_shared<RandomWeights>(dense_config(), parse_gguf_recipe("q8_0"));
  EXPECT_NE(load(source, {.memory = 1 << 30}), nullptr);
  try {
    load(source, {.memory = 1 << 20});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the budget is 1.0 MB"));
  }
}

}  // namespace
}  // namespace r1
