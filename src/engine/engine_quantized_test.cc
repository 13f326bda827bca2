// The engine's exactness on quantised weights and a quantised cache.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/engine_test_model.h"
#include "model/random_weights.h"

namespace r1 {
namespace {

using namespace engine_test;
using testing::HasSubstr;

ModelConfig config_with_experts() {
  ModelConfig config;
  config.vocab_size = kVocab;
  config.hidden_size = 256;
  config.intermediate_size = 256;
  config.moe_intermediate_size = 256;
  config.num_hidden_layers = 2;
  config.first_k_dense_replace = 1;
  config.num_attention_heads = 2;
  config.n_routed_experts = 8;
  config.n_shared_experts = 1;
  config.num_experts_per_tok = 3;
  config.kv_lora_rank = 64;
  config.qk_nope_head_dim = 32;
  config.qk_rope_head_dim = 32;
  config.v_head_dim = 128;
  config.max_position_embeddings = kContext;
  return config;
}

TEST(EngineQuantized, CompletionsDoNotDependOnCompanyChunksOrPages) {
  Backend backend(2);
  const auto source =
      std::make_shared<RandomWeights>(config_with_experts(), parse_gguf_recipe("q4_k_m"));
  const auto model = Model::load(backend, source, Precision::bf16, LoadOptions{});
  const std::vector<Request> requests = mixed_requests(12);
  for (const KvStorage storage : {KvStorage::plain, KvStorage::q8_0}) {
    std::vector<Completion> alone;
    for (const Request& request : requests) {
      Engine engine(backend, *model, {.pages = 8, .kv_storage = storage});
      alone.push_back(engine.generate(std::span(&request, 1)).front());
    }
    for (const std::int64_t chunk : {1, 7, 512}) {
      for (const std::int64_t pages : {5, 60}) {
        Engine engine(backend, *model,
                      {.pages = pages, .prefill_chunk = chunk, .kv_storage = storage});
        expect_same(engine.generate(requests), alone, fmt::format("{} of {}", chunk, pages));
      }
    }
  }
}

TEST(EngineQuantized, ACacheInBlocksNeedsWholeBlocks) {
  Backend backend(1);
  const auto f32 = make_model(backend, Precision::f32), bf16 = make_model(backend, Precision::bf16);
  for (Model* model : {f32.get(), bf16.get()}) {
    try {
      const Engine engine(backend, *model, {.pages = 4, .kv_storage = KvStorage::q8_0});
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("blocks of 32"));
    }
  }
}

}  // namespace
}  // namespace r1
