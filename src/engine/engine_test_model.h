#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "engine/engine.h"

// What the engine's tests share: a small model with every part of the architecture, requests of all
// kinds, and the comparison of completions bit by bit.
namespace r1::engine_test {

inline constexpr std::int64_t kVocab = 97;
inline constexpr std::int64_t kContext = 400;

inline std::unique_ptr<Model> make_model(Backend& backend, Precision precision,
                                         std::int64_t prediction_modules = 0) {
  ModelConfig config;
  config.num_nextn_predict_layers = prediction_modules;
  config.vocab_size = kVocab;
  config.hidden_size = 40;
  config.intermediate_size = 48;
  config.moe_intermediate_size = 24;
  config.num_hidden_layers = 3;
  config.first_k_dense_replace = 1;
  config.num_attention_heads = 2;
  config.n_routed_experts = 8;
  config.n_shared_experts = 1;
  config.num_experts_per_tok = 3;
  config.n_group = 4;
  config.topk_group = 2;
  config.q_lora_rank = 20;
  config.kv_lora_rank = 16;
  config.qk_nope_head_dim = 8;
  config.qk_rope_head_dim = 8;
  config.v_head_dim = 12;
  config.max_position_embeddings = kContext;
  config.initializer_range = 0.3;  // lively: neighbouring tokens differ in what they predict
  return Model::initialise(backend, config, precision, 7);
}

inline std::vector<std::int32_t> random_tokens(std::uint64_t seed, std::int64_t count) {
  Rng rng(seed);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(rng.below(kVocab));
  return tokens;
}

inline Request make_request(std::vector<std::int32_t> prompt, std::int64_t max_tokens,
                            std::uint32_t sample = 0) {
  Request request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.seed = 11;
  request.sampling.sample = sample;
  return request;
}

// Prompts of 1 to about 190 tokens, many with beginnings in common, sampled in all ways.
inline std::vector<Request> mixed_requests(std::size_t count) {
  std::vector<Request> requests;
  const std::vector<std::int32_t> common = random_tokens(99, 130);
  for (std::size_t i = 0; i < count; ++i) {
    Rng rng(5, 0, static_cast<std::uint32_t>(i));
    const std::int64_t own = rng.between(1, 60);
    std::vector<std::int32_t> prompt = random_tokens(1000 + i, own);
    if (i % 3 == 1) {
      const auto taken = static_cast<std::ptrdiff_t>(rng.between(1, std::ssize(common)));
      prompt.insert(prompt.begin(), common.begin(), common.begin() + taken);
    }
    if (i % 4 == 3) prompt = requests[i - 2].prompt;
    Request request =
        make_request(std::move(prompt), rng.between(1, 40), static_cast<std::uint32_t>(i));
    SamplingParams& sampling = request.sampling;
    if (i % 5 == 1) sampling.temperature = 0.0f;
    if (i % 5 == 2) sampling.temperature = 0.6f;
    if (i % 7 == 3) sampling.top_p = 0.9f;
    if (i % 7 == 4) sampling.top_k = 12;
    if (i % 7 == 5) sampling.min_p = 0.02f;
    if (i % 6 == 5) sampling.repetition_penalty = 1.2f;
    if (i % 3 == 0) request.stop_tokens = {3, 17};
    requests.push_back(std::move(request));
  }
  return requests;
}

inline void expect_same(const Completion& found, const Completion& wanted,
                        const std::string& what) {
  EXPECT_EQ(found.finish, wanted.finish) << what;
  ASSERT_EQ(found.tokens.size(), wanted.tokens.size()) << what;
  for (std::size_t i = 0; i < found.tokens.size(); ++i) {
    const SampledToken &a = found.tokens[i], &b = wanted.tokens[i];
    ASSERT_TRUE(a.id == b.id &&
                std::bit_cast<std::uint32_t>(a.log_prob) ==
                    std::bit_cast<std::uint32_t>(b.log_prob) &&
                std::bit_cast<std::uint32_t>(a.entropy) == std::bit_cast<std::uint32_t>(b.entropy))
        << what << " token " << i << ": " << a.id << " " << a.log_prob << " " << a.entropy
        << " instead of " << b.id << " " << b.log_prob << " " << b.entropy;
  }
}

inline void expect_same(const std::vector<Completion>& found, const std::vector<Completion>& wanted,
                        const std::string& what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  for (std::size_t i = 0; i < found.size(); ++i) {
    expect_same(found[i], wanted[i], what + ", request " + std::to_string(i));
  }
}

}  // namespace r1::engine_test
