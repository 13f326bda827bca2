// The same completion bit by bit, whatever happens around it: ids, log-probabilities, entropies.

#include <gtest/gtest.h>

#include <map>

#include "engine/engine_test_model.h"

namespace r1 {
namespace {

using namespace engine_test;

class EngineExactnessTest : public testing::TestWithParam<Precision> {
 protected:
  // Every request by itself, on one thread, in an engine that never saw another.
  const std::vector<Completion>& alone() {
    static std::map<Precision, std::vector<Completion>> known;
    std::vector<Completion>& completions = known[GetParam()];
    if (completions.empty()) {
      for (const Request& request : requests_) {
        Engine engine(backend_, *model_, {.pages = 8});
        completions.push_back(engine.generate(std::span(&request, 1)).front());
      }
    }
    return completions;
  }
  std::vector<float> training_log_probs(const Request& request, const Completion& completion,
                                        const Request& neighbour, std::vector<float>& entropies);

  Backend backend_{1};
  std::unique_ptr<Model> model_ = make_model(backend_, GetParam());
  const std::vector<Request> requests_ = mixed_requests(32);
};

TEST_P(EngineExactnessTest, TheRequestsAreLively) {
  std::size_t longest = 0, tokens = 0;
  double certain = 0;
  for (const Completion& completion : alone()) {
    longest = std::max(longest, completion.tokens.size());
    tokens += completion.tokens.size();
    for (const SampledToken& token : completion.tokens) certain += token.entropy < 0.05f;
  }
  EXPECT_GT(longest, 30u);
  EXPECT_GT(tokens, 300u);
  EXPECT_LT(certain, 0.3 * static_cast<double>(tokens));
}

TEST_P(EngineExactnessTest, AloneAndInABatch) {
  Engine engine(backend_, *model_);
  expect_same(engine.generate(requests_), alone(), "together");
  EXPECT_GT(engine.stats().shared_prompt_tokens, 0);
  // Now with every prompt known.
  const std::int64_t rows = engine.stats().prefill_rows;
  expect_same(engine.generate(requests_), alone(), "again");
  EXPECT_EQ(engine.stats().prefill_rows - rows, std::ssize(requests_));
}

TEST_P(EngineExactnessTest, PrefillChunksAndSmallPasses) {
  for (const std::int64_t chunk : {1, 7, 1000}) {
    for (const std::int64_t rows : {5, 2048}) {
      Engine engine(backend_, *model_, {.max_batch_rows = rows, .prefill_chunk = chunk});
      expect_same(engine.generate(requests_), alone(), fmt::format("chunk {} of {}", chunk, rows));
    }
  }
}

TEST_P(EngineExactnessTest, SmallCaches) {
  for (const std::int64_t pages : {4, 7, 12}) {
    Engine engine(backend_, *model_, {.pages = pages});
    expect_same(engine.generate(requests_), alone(), fmt::format("{} pages", pages));
    EXPECT_EQ(engine.free_pages(), pages);
    EXPECT_LE(engine.stats().pages_used_peak, pages);
  }
}

TEST_P(EngineExactnessTest, Preemption) {
  std::vector<Request> requests;
  std::vector<Completion> wanted;
  for (std::uint32_t i = 0; i < 6; ++i) {
    requests.push_back(make_request(random_tokens(i / 2, 20 + i / 2), 150, i));
    Engine engine(backend_, *model_, {.pages = 3});
    wanted.push_back(engine.generate(std::span(&requests.back(), 1)).front());
  }
  for (const std::int64_t chunk : {1, 50, 512}) {
    Engine engine(backend_, *model_, {.pages = 6, .prefill_chunk = chunk});
    expect_same(engine.generate(requests), wanted, fmt::format("chunk {}", chunk));
    EXPECT_GT(engine.stats().preemptions, 0);
    EXPECT_EQ(engine.free_pages(), 6);
  }
}

TEST_P(EngineExactnessTest, Threads) {
  for (const int threads : {2, 3}) {
    Backend backend(threads);
    const auto model = make_model(backend, GetParam());
    Engine engine(backend, *model);
    expect_same(engine.generate(requests_), alone(), fmt::format("{} threads", threads));
  }
}

TEST_P(EngineExactnessTest, InstructionSets) {
  for (const Isa isa : supported_isas()) {
    Backend backend(1, isa);
    const auto model = make_model(backend, GetParam());
    Engine engine(backend, *model);
    expect_same(engine.generate(requests_), alone(), std::string(name_of(isa)));
  }
}

TEST_P(EngineExactnessTest, ScoreGivesTheSampledLogProbs) {
  for (const std::int64_t rows : {9, 2048}) {
    Engine engine(backend_, *model_, {.max_batch_rows = rows});
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      std::vector<std::int32_t> ids = requests_[i].prompt;
      for (const SampledToken& token : alone()[i].tokens) ids.push_back(token.id);
      std::vector<float> entropies;
      const std::vector<float> log_probs =
          engine.score(ids, requests_[i].sampling.temperature, &entropies);
      ASSERT_EQ(log_probs.size(), ids.size() - 1);
      ASSERT_EQ(entropies.size(), ids.size() - 1);
      Completion scored = alone()[i];
      for (std::size_t t = 0; t < scored.tokens.size(); ++t) {
        const std::size_t at = requests_[i].prompt.size() - 1 + t;
        scored.tokens[t].log_prob = log_probs[at];
        scored.tokens[t].entropy = entropies[at];
      }
      expect_same(scored, alone()[i], fmt::format("score {} with {} rows", i, rows));
    }
  }
}

// A training pass over two packed sequences with a tape, as the trainer of a policy runs it.
std::vector<float> EngineExactnessTest::training_log_probs(const Request& request,
                                                           const Completion& completion,
                                                           const Request& neighbour,
                                                           std::vector<float>& entropies) {
  std::vector<std::int32_t> ids = request.prompt;
  for (const SampledToken& token : completion.tokens) ids.push_back(token.id);
  Batch batch;
  batch.append(neighbour.prompt);
  batch.append(ids);
  std::vector<std::int32_t> targets(neighbour.prompt.size(), kIgnoredLabel);
  targets.insert(targets.end(), ids.begin() + 1, ids.end());
  targets.push_back(kIgnoredLabel);
  entropies.resize(targets.size());
  Arena arena;
  Tape tape(arena);
  const ForwardContext ctx{backend_, arena, GetParam(), &tape};
  const Tensor states = model_->forward(ctx, batch);
  const float temperature = request.sampling.temperature;
  const Tensor log_probs =
      token_log_probs(ctx, states, model_->head(), targets,
                      temperature == 0.0f ? 1.0f : 1.0f / temperature, entropies.data());
  const auto first =
      static_cast<std::ptrdiff_t>(neighbour.prompt.size() + request.prompt.size()) - 1;
  entropies.erase(entropies.begin(), entropies.begin() + first);
  return {log_probs.data + first, log_probs.data + log_probs.rows() - 1};
}

TEST_P(EngineExactnessTest, ATrainingPassGivesTheSampledLogProbs) {
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    std::vector<float> entropies;
    const std::vector<float> log_probs = training_log_probs(
        requests_[i], alone()[i], requests_[(i + 1) % requests_.size()], entropies);
    ASSERT_EQ(log_probs.size(), alone()[i].tokens.size());
    Completion trained = alone()[i];
    for (std::size_t t = 0; t < trained.tokens.size(); ++t) {
      trained.tokens[t].log_prob = log_probs[t];
      trained.tokens[t].entropy = entropies[t];
    }
    expect_same(trained, alone()[i], fmt::format("request {}", i));
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, EngineExactnessTest,
                         testing::Values(Precision::f32, Precision::bf16),
                         [](const auto& precision) {
                           return std::string(precision.param == Precision::f32 ? "f32" : "bf16");
                         });

}  // namespace
}  // namespace r1
