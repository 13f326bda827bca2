// What requests can ask of single tokens: forced and replaced ones, alternatives, penalties,
// biases.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error.h"
#include "engine/engine_test_model.h"
#include "engine/sampler.h"

namespace r1 {
namespace {

using namespace engine_test;

class TokenGuideTest : public testing::Test {
 protected:
  Completion alone(const Request& request, EngineOptions options = {}) {
    Engine engine(backend_, *model_, options);
    return engine.generate(std::span(&request, 1)).front();
  }

  Backend backend_{1};
  std::unique_ptr<Model> model_ = make_model(backend_, Precision::bf16, 1);
};

class Script final : public TokenGuide {
 public:
  explicit Script(std::vector<Choice> choices) : choices_(std::move(choices)) {}
  Choice next() const override { return at_ < choices_.size() ? choices_[at_] : Choice{}; }
  void take(std::int32_t token) override {
    ++at_;
    taken.push_back(token);
  }
  std::vector<std::int32_t> taken;

 private:
  std::vector<Choice> choices_;
  std::size_t at_ = 0;
};

std::vector<std::int32_t> ids(const Completion& completion) {
  std::vector<std::int32_t> result;
  for (const SampledToken& token : completion.tokens) result.push_back(token.id);
  return result;
}

TEST_F(TokenGuideTest, AGuideThatDoesNothingChangesNoBit) {
  for (Request request : mixed_requests(12)) {
    const Completion plain = alone(request);
    const auto guide = std::make_shared<Script>(std::vector<TokenGuide::Choice>());
    request.guide = guide;
    request.alternatives = 5;
    expect_same(alone(request), plain, "guided");
    EXPECT_EQ(guide->taken, ids(plain));
  }
}

TEST_F(TokenGuideTest, ForcedTokensAreTakenWithTheirOwnLogProbs) {
  Request request = make_request(random_tokens(3, 20), 8);
  const Completion plain = alone(request);
  request.guide =
      std::make_shared<Script>(std::vector<TokenGuide::Choice>{{}, {.forced = 42}, {.forced = 43}});
  const Completion forced = alone(request);
  EXPECT_EQ(forced.tokens[0].id, plain.tokens[0].id);
  EXPECT_EQ(forced.tokens[1].id, 42);
  EXPECT_EQ(forced.tokens[2].id, 43);
  std::vector<std::int32_t> all = request.prompt;
  for (const std::int32_t id : ids(forced)) all.push_back(id);
  Engine engine(backend_, *model_);
  const std::vector<float> scored = engine.score(all);
  for (std::size_t i = 0; i < forced.tokens.size(); ++i) {
    EXPECT_EQ(forced.tokens[i].log_prob, scored[request.prompt.size() - 1 + i]) << i;
  }
}

TEST_F(TokenGuideTest, ATokenIsReplacedWhereItIsDrawn) {
  Request request = make_request(random_tokens(3, 20), 6);
  const Completion plain = alone(request);
  const std::int32_t third = plain.tokens[2].id;
  request.guide = std::make_shared<Script>(
      std::vector<TokenGuide::Choice>(3, {.avoided = third, .instead = third == 7 ? 8 : 7}));
  const Completion replaced = alone(request);
  EXPECT_NE(replaced.tokens[2].id, third);
}

TEST_F(TokenGuideTest, GuidesWorkBesideSpeculationAndOthers) {
  std::vector<Request> requests = mixed_requests(10);
  std::vector<Completion> wanted;
  const std::vector<TokenGuide::Choice> script = {{}, {.forced = 30}, {}, {.forced = 31}};
  for (Request& request : requests) {
    request.guide = std::make_shared<Script>(script);
    wanted.push_back(alone(request));
  }
  EngineOptions options;
  options.speculation.source = DraftSource::prediction_module;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].guide = std::make_shared<Script>(script);
  }
  Engine engine(backend_, *model_, options);
  expect_same(engine.generate(requests), wanted, "together");
}

TEST_F(TokenGuideTest, AlternativesAreTheLikeliestTokens) {
  Request request = make_request(random_tokens(4, 30), 5);
  request.sampling.temperature = 0.0f;
  request.alternatives = 4;
  Engine engine(backend_, *model_);
  engine.submit(request);
  int tokens = 0;
  while (!engine.idle()) {
    for (const Engine::Event& event : engine.step()) {
      ASSERT_EQ(event.alternatives.size(), 4u);
      EXPECT_EQ(event.alternatives[0].id, event.token.id);
      EXPECT_EQ(event.alternatives[0].log_prob, event.token.log_prob);
      for (std::size_t i = 1; i < 4; ++i) {
        EXPECT_GE(event.alternatives[i - 1].log_prob, event.alternatives[i].log_prob);
      }
      ++tokens;
    }
  }
  EXPECT_EQ(tokens, 5);
  request.alternatives = kMaxAlternatives + 1;
  EXPECT_THROW(engine.submit(request), Error);
}

TEST_F(TokenGuideTest, ScoredTokensHaveTheBitsOfScores) {
  const std::vector<std::int32_t> text = random_tokens(8, 150);
  Engine engine(backend_, *model_, {.max_batch_rows = 40});
  std::vector<float> entropies;
  const std::vector<float> log_probs = engine.score(text, 1.0f, &entropies);
  const std::vector<Engine::ScoredToken> scored = engine.score_tokens(text, 3);
  ASSERT_EQ(scored.size(), log_probs.size());
  for (std::size_t i = 0; i < scored.size(); ++i) {
    EXPECT_EQ(scored[i].token.id, text[i + 1]);
    EXPECT_EQ(scored[i].token.log_prob, log_probs[i]) << i;
    EXPECT_EQ(scored[i].token.entropy, entropies[i]) << i;
    EXPECT_EQ(scored[i].alternatives.size(), 3u);
  }
}

TEST_F(TokenGuideTest, SharedPromptTokensAreTold) {
  Engine engine(backend_, *model_);
  const Request request = make_request(random_tokens(5, 130), 2);
  std::vector<std::int64_t> shared;
  for (int i = 0; i < 2; ++i) {
    engine.submit(request);
    while (!engine.idle()) {
      for (const Engine::Event& event : engine.step()) {
        if (event.finished) shared.push_back(event.shared_prompt_tokens);
      }
    }
  }
  EXPECT_EQ(shared, (std::vector<std::int64_t>{0, 129}));
}

TEST_F(TokenGuideTest, BiasesAndPenaltiesShapeTheDraws) {
  Request request = make_request(random_tokens(6, 20), 12);
  request.sampling.logit_bias = {{50, 100.0f}};
  for (const SampledToken& token : alone(request).tokens) EXPECT_EQ(token.id, 50);
  request.sampling.presence_penalty = 200.0f;  // beyond the bias: once, then never again
  const Completion once = alone(request);
  EXPECT_EQ(once.tokens[0].id, 50);
  EXPECT_EQ(std::ranges::count(ids(once), 50), 1);
  request.sampling.presence_penalty = 0.0f;
  request.sampling.frequency_penalty = 45.0f;  // 100 - 45 n
  EXPECT_GE(std::ranges::count(ids(alone(request)), 50), 2);
  EXPECT_LE(std::ranges::count(ids(alone(request)), 50), 3);
  request.sampling.logit_bias = {{static_cast<std::int32_t>(kVocab), 1.0f}};
  Engine engine(backend_, *model_);
  EXPECT_THROW(engine.submit(request), Error);
  request.sampling.logit_bias = {{1, std::nanf("")}};
  EXPECT_THROW(engine.submit(request), Error);
}

TEST_F(TokenGuideTest, PenaltiesCountTheCompletionAlone) {
  Request request = make_request(std::vector<std::int32_t>(30, 50), 1);
  request.sampling.temperature = 0.0f;
  const Completion plain = alone(request);
  request.prompt.back() = plain.tokens[0].id;
  const Completion again = alone(request);
  request.sampling.presence_penalty = 2.0f;
  EXPECT_EQ(alone(request).tokens[0].id, again.tokens[0].id);
}

}  // namespace
}  // namespace r1
