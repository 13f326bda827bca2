#include "train/benchmark.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "model/model.h"
#include "train/benchmark_clock.h"
#include "train/benchmark_work.h"
#include "train/recipe.h"

namespace r1::train {
namespace {

// Small enough to time in a test, with every kind of layer.
BenchmarkShape tiny_shape() {
  BenchmarkShape shape = benchmark_shape("nano");
  shape.model.num_hidden_layers = 2;
  shape.model.hidden_size = 32;
  shape.model.vocab_size = 128;
  shape.tokens_per_step = 200;
  shape.micro_batch_tokens = 128;
  shape.prompt = 20;
  shape.completion = 8;
  return shape;
}

TEST(BenchmarkShape, NanoIsTheModelOfTheRecipe) {
  const Recipe recipe = load_recipe("recipes/nano/base.yaml");
  const PretrainRecipe& pretrain = std::get<PretrainRecipe>(recipe);
  const BenchmarkShape shape = benchmark_shape("nano");
  const ModelConfig expected = parse_config(
      model_config_json(pretrain.model, shape.model.vocab_size, pretrain.run.precision), "recipe");
  EXPECT_EQ(write_config(shape.model), write_config(expected));
  EXPECT_EQ(shape.tokens_per_step, pretrain.tokens_per_batch);
  EXPECT_EQ(shape.micro_batch_tokens, pretrain.micro_batch_tokens);
}

TEST(BenchmarkShape, HundredMillionHasThatManyActiveParameters) {
  const ParameterCount count = count_parameters(benchmark_shape("100m").model);
  EXPECT_GT(count.active, 95'000'000);
  EXPECT_LT(count.active, 105'000'000);
}

TEST(BenchmarkShape, DocumentsFillTheStepWithAllLengths) {
  for (const char* name : {"nano", "100m"}) {
    const BenchmarkShape shape = benchmark_shape(name);
    const std::vector<std::int64_t> lengths = document_lengths(shape);
    EXPECT_EQ(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}),
              shape.tokens_per_step);
    EXPECT_LE(*std::max_element(lengths.begin(), lengths.end()), shape.longest_document);
    EXPECT_NE(lengths[0], lengths[1]);
    const std::vector<Sequence> documents = random_documents(shape);
    ASSERT_EQ(documents.size(), lengths.size());
    for (std::size_t i = 0; i < documents.size(); ++i) {
      EXPECT_EQ(std::ssize(documents[i]), lengths[i]);
    }
  }
}

TEST(BenchmarkShape, UnknownNameIsAnError) { EXPECT_THROW(benchmark_shape("7b"), UsageError); }

// Every weight matrix that a token passes through is one multiply-add per number.
TEST(BenchmarkWork, CountsTheActiveMatrices) {
  for (const bool compressed : {false, true}) {
    ModelConfig config = benchmark_shape("nano").model;
    config.q_lora_rank = compressed ? 48 : 0;
    Model model(config, r1::Precision::bf16);
    std::int64_t in_layers = 0, in_modules = 0;
    model.visit_weights([&](Weight& weight) {
      const std::string& name = weight.name;
      if (weight.shape.rank() != 2 || name == "model.embed_tokens.weight" ||
          name == "lm_head.weight") {
        return;
      }
      std::int64_t count = weight.count();
      if (name.find(".experts.") != std::string::npos) {
        // Two of eight experts work for a token.
        ASSERT_EQ(count * config.num_experts_per_tok % config.n_routed_experts, 0);
        count = count * config.num_experts_per_tok / config.n_routed_experts;
      }
      (name.starts_with("model.layers.5.") ? in_modules : in_layers) += count;
    });
    EXPECT_EQ(layer_macs(config), in_layers);
    EXPECT_EQ(prediction_macs(config), in_modules);
  }
}

TEST(BenchmarkWork, CountsKeysOneByOne) {
  for (const std::int64_t start : {0, 5}) {
    std::int64_t keys = 0;
    for (std::int64_t row = 0; row < 7; ++row) keys += start + row + 1;
    EXPECT_EQ(visible_keys(start, 7), keys);
  }
}

TEST(OperationClock, NamesWorkAfterItsFile) {
  OperationClock clock;
  clock.begin(std::source_location::current(), Pass::forward);
  clock.begin(std::source_location::current(), Pass::backward);
  clock.stop();
  const std::vector<OperationTime> times = clock.per_step(1);
  ASSERT_EQ(times.size(), 1u);
  EXPECT_EQ(times[0].name, "benchmark_test");
  EXPECT_GT(times[0].forward, 0.0);
  EXPECT_GT(times[0].backward, 0.0);
}

void expect_sound(const BenchmarkResult& result) {
  EXPECT_EQ(result.steps, 3);
  EXPECT_GT(result.best_seconds, 0.0);
  EXPECT_LE(result.best_seconds, result.seconds_per_step);
  EXPECT_GT(result.share_of_peak, 0.0);
  EXPECT_LT(result.share_of_peak, 1.0);
}

bool has_operation(const BenchmarkResult& result, std::string_view name) {
  return std::ranges::find(result.operations, name, &OperationTime::name) !=
         result.operations.end();
}

TEST(Benchmark, TrainsAndTellsWhereTimeWent) {
  BenchmarkOptions options;
  options.shape = tiny_shape();
  options.steps = 3;
  const BenchmarkResult result = benchmark_training(options);
  expect_sound(result);
  EXPECT_EQ(result.tokens_per_step, 200);
  double spent = 0;
  for (const OperationTime& time : result.operations) spent += time.forward + time.backward;
  // Three times the whole: nothing is counted twice, however steps vary.
  EXPECT_LT(spent, 3 * result.seconds_per_step);
  for (const char* name : {"linear", "attention", "experts", "route", "token_log_probs"}) {
    const auto found = std::ranges::find(result.operations, name, &OperationTime::name);
    ASSERT_NE(found, result.operations.end()) << name;
    EXPECT_GT(found->forward, 0.0) << name;
    EXPECT_GT(found->backward, 0.0) << name;
  }
  EXPECT_TRUE(has_operation(result, "optimizer"));
}

TEST(Benchmark, SamplesOneTokenPerSequenceAndStep) {
  BenchmarkOptions options;
  options.shape = tiny_shape();
  options.steps = 3;
  options.sequences = 20;
  const BenchmarkResult result = benchmark_sampling(options);
  expect_sound(result);
  EXPECT_EQ(result.tokens_per_step, 20);
  EXPECT_TRUE(has_operation(result, "sampler"));
  for (const OperationTime& time : result.operations) EXPECT_EQ(time.backward, 0.0) << time.name;
}

TEST(Benchmark, TellsInWordsAndInJson) {
  BenchmarkResult result;
  result.work = "train";
  result.shape = "nano";
  result.threads = 2;
  result.tokens_per_step = 100;
  result.steps = 4;
  result.seconds_per_step = 0.5;
  result.best_seconds = 0.4;
  result.flop_per_step = 1e9;
  result.peak_flops = 4e9;
  result.share_of_peak = 0.5;
  result.operations = {{"linear", 0.3, 0.1}};
  const std::string text = to_text(result);
  EXPECT_NE(text.find("200 tokens/s"), std::string::npos) << text;
  EXPECT_NE(text.find("2.0 GFLOP/s, 50.0 %"), std::string::npos) << text;
  EXPECT_NE(text.find("100.0 %"), std::string::npos) << text;
  EXPECT_NE(to_json(result).find("\"tokens_per_second\": 200.0"), std::string::npos);
}

}  // namespace
}  // namespace r1::train
