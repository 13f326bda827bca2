#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "engine/engine_test_model.h"

namespace r1 {
namespace {

using namespace engine_test;

class EngineTest : public testing::Test {
 protected:
  Completion alone(const Request& request) {
    Engine engine(backend_, *model_);
    return engine.generate(std::span(&request, 1)).front();
  }

  Backend backend_{1};
  std::unique_ptr<Model> model_ = make_model(backend_, Precision::bf16, 1);
};

std::vector<Request> group(std::vector<std::int32_t> prompt, std::int64_t copies,
                           std::int64_t max_tokens) {
  std::vector<Request> requests;
  for (std::int64_t i = 0; i < copies; ++i) {
    requests.push_back(make_request(prompt, max_tokens, static_cast<std::uint32_t>(i)));
  }
  return requests;
}

TEST_F(EngineTest, AGroupsPromptIsReadOnce) {
  for (const std::int64_t length : {1, 2, 50, 64, 65, 128, 150}) {
    const std::vector<Request> requests = group(random_tokens(1, length), 16, 12);
    Engine engine(backend_, *model_, {.prefill_chunk = 48});
    const std::vector<Completion> completions = engine.generate(requests);
    // Each copy still computes the last token, whose states it draws from.
    EXPECT_EQ(engine.stats().prefill_rows, length + 15) << length;
    EXPECT_EQ(engine.stats().shared_prompt_tokens, 15 * (length - 1)) << length;
    EXPECT_EQ(engine.stats().decode_rows, 16 * 11) << length;
    EXPECT_LE(engine.stats().pages_used_peak, (length - 1) / kPageTokens + 16 * 2) << length;
    std::set<std::int32_t> first;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      expect_same(completions[i], alone(requests[i]), fmt::format("copy {} of {}", i, length));
      first.insert(completions[i].tokens[0].id);
    }
    EXPECT_GT(first.size(), 1u) << length;
  }
}

TEST_F(EngineTest, SeveralGroupsAreReadInTheSamePass) {
  std::vector<Request> requests;
  for (std::uint64_t prompt = 0; prompt < 4; ++prompt) {
    for (const Request& request : group(random_tokens(prompt, 50), 8, 20)) {
      requests.push_back(request);
    }
  }
  Engine engine(backend_, *model_);
  engine.generate(requests);
  EXPECT_EQ(engine.stats().prefill_rows, 4 * (50 + 7));
  EXPECT_EQ(engine.stats().steps, 1 + 20);
}

TEST_F(EngineTest, APromptThatBranchesOffSharesWhatIsCommon) {
  std::vector<std::int32_t> first = random_tokens(1, 140), second = first;
  second[100] = (second[100] + 1) % static_cast<std::int32_t>(kVocab);
  Engine engine(backend_, *model_);
  const std::vector<Request> requests = {make_request(first, 5), make_request(second, 5)};
  for (const Request& request : requests) {
    expect_same(engine.generate(std::span(&request, 1)).front(), alone(request), "branch");
  }
  EXPECT_EQ(engine.stats().shared_prompt_tokens, 100);
}

TEST_F(EngineTest, AConversationContinuesFromItsCompletion) {
  Engine engine(backend_, *model_);
  const Request first = make_request(random_tokens(1, 70), 80);
  Request second = first;
  const Completion completion = engine.generate(std::span(&first, 1)).front();
  for (const SampledToken& token : completion.tokens) second.prompt.push_back(token.id);
  second.prompt.push_back(5);
  expect_same(engine.generate(std::span(&second, 1)).front(), alone(second), "second turn");
  EXPECT_EQ(engine.stats().shared_prompt_tokens, 128);
}

TEST_F(EngineTest, StopTokensEndACompletionAndAreKept) {
  Request request = make_request(random_tokens(1, 10), 60);
  const Completion whole = alone(request);
  EXPECT_EQ(whole.finish, FinishReason::length);
  ASSERT_EQ(whole.tokens.size(), 60u);
  request.stop_tokens = {whole.tokens[30].id};
  const Completion stopped = alone(request);
  EXPECT_EQ(stopped.finish, FinishReason::stop);
  ASSERT_LE(stopped.tokens.size(), 31u);
  EXPECT_EQ(stopped.tokens.back().id, whole.tokens[30].id);
}

TEST_F(EngineTest, TheContextsEndEndsACompletion) {
  const Request request = make_request(random_tokens(1, kContext - 3), 100);
  const Completion completion = alone(request);
  EXPECT_EQ(completion.finish, FinishReason::length);
  EXPECT_EQ(completion.tokens.size(), 3u);
}

TEST_F(EngineTest, RefusesWhatCannotRun) {
  Engine engine(backend_, *model_, {.pages = 3});
  const auto message = [&](const Request& request) -> std::string {
    try {
      engine.submit(request);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  using testing::HasSubstr;
  EXPECT_THAT(message(make_request({}, 5)), HasSubstr("empty"));
  EXPECT_THAT(message(make_request({1, kVocab}, 5)), HasSubstr("token 97"));
  EXPECT_THAT(message(make_request({-1}, 5)), HasSubstr("token -1"));
  EXPECT_THAT(message(make_request({1}, 0)), HasSubstr("max_tokens"));
  EXPECT_THAT(message(make_request(random_tokens(1, kContext), 1)), HasSubstr("context of 400"));
  EXPECT_THAT(message(make_request(random_tokens(1, 100), 94)), HasSubstr("need 4 pages"));
  Request request = make_request({1}, 5);
  request.sampling.temperature = -1.0f;
  EXPECT_THAT(message(request), HasSubstr("temperature"));
  request.sampling = {};
  request.sampling.top_p = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message(request), HasSubstr("top_p"));
  EXPECT_TRUE(engine.idle());
  EXPECT_EQ(message(make_request(random_tokens(1, 100), 93)), "accepted");
  EXPECT_THROW(engine.score(std::vector<std::int32_t>{}), Error);
  EXPECT_THROW(engine.score(std::vector<std::int32_t>{200, 1}), Error);
  EXPECT_THROW(Engine(backend_, *model_, {.max_sequences = 0}), Error);
}

TEST_F(EngineTest, ScoreOfOneTokenIsEmpty) {
  Engine engine(backend_, *model_);
  std::vector<float> entropies = {1.0f};
  EXPECT_TRUE(engine.score(std::vector<std::int32_t>{5}, 1.0f, &entropies).empty());
  EXPECT_TRUE(entropies.empty());
}

TEST_F(EngineTest, CancellingFreesPagesAndIsReported) {
  Engine engine(backend_, *model_);
  const std::int64_t free = engine.free_pages();
  EXPECT_EQ(free, engine.pages());
  const RequestId running = engine.submit(make_request(random_tokens(1, 200), 50));
  for (int i = 0; i < 5; ++i) engine.step();
  EXPECT_EQ(engine.free_pages(), free - 4);
  const RequestId waiting = engine.submit(make_request(random_tokens(2, 20), 50));
  engine.cancel(running);
  EXPECT_EQ(engine.free_pages(), free);
  engine.cancel(waiting);
  engine.cancel(waiting);
  engine.cancel(12345);
  EXPECT_FALSE(engine.idle());
  const std::vector<Engine::Event> events = engine.step();
  ASSERT_EQ(events.size(), 2u);
  for (const Engine::Event& event : events) {
    EXPECT_TRUE(event.finished);
    EXPECT_EQ(event.finish, FinishReason::cancelled);
    EXPECT_EQ(event.token.id, -1);
  }
  EXPECT_EQ(events[0].id, running);
  EXPECT_EQ(events[1].id, waiting);
  EXPECT_TRUE(engine.idle());
}

TEST_F(EngineTest, AThrowFromProgressLeavesAWorkingEngine) {
  Engine engine(backend_, *model_);
  const std::vector<Request> requests = mixed_requests(8);
  EXPECT_THROW(engine.generate(requests, [](std::int64_t) { throw std::runtime_error("stop"); }),
               std::runtime_error);
  EXPECT_TRUE(engine.idle());
  EXPECT_EQ(engine.free_pages(), engine.pages());
  const std::vector<Completion> completions = engine.generate(requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    expect_same(completions[i], alone(requests[i]), fmt::format("request {}", i));
  }
}

TEST_F(EngineTest, ProgressCountsFinishedRequests) {
  Engine engine(backend_, *model_);
  std::vector<std::int64_t> seen;
  engine.generate(mixed_requests(8), [&](std::int64_t finished) { seen.push_back(finished); });
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  EXPECT_EQ(seen.back(), 8);
  EXPECT_EQ(std::ssize(seen), engine.stats().steps);
}

TEST_F(EngineTest, NewWeightsForgetThePagesOfTheOld) {
  Engine engine(backend_, *model_);
  const Request request = make_request(random_tokens(1, 100), 20);
  const Completion before = engine.generate(std::span(&request, 1)).front();
  EXPECT_EQ(before.weights_version, model_->version());

  // While a sequence is under way.
  engine.submit(request);
  std::vector<SampledToken> drawn;
  for (int i = 0; i < 10; ++i) drawn.push_back(engine.step().front().token);
  const std::int64_t shared = engine.stats().shared_prompt_tokens;
  EXPECT_GT(shared, 0);
  model_->visit_weights([](Weight& weight) {
    if (weight.trainable) weight.value[0] += 0.5f;
  });
  model_->refresh(backend_);
  while (!engine.idle()) drawn.push_back(engine.step().front().token);
  Request rest = request;
  for (int i = 0; i < 10; ++i) rest.prompt.push_back(drawn[static_cast<std::size_t>(i)].id);
  rest.max_tokens = 10;
  Completion continued;
  continued.tokens.assign(drawn.begin() + 10, drawn.end());
  expect_same(continued, alone(rest), "the rest, by the new weights");

  const Completion after = engine.generate(std::span(&request, 1)).front();
  expect_same(after, alone(request), "afterwards");
  EXPECT_EQ(after.weights_version, before.weights_version + 1);
  EXPECT_NE(after.tokens[0].log_prob, before.tokens[0].log_prob);
}

TEST_F(EngineTest, LogitsThatAreNotFiniteFailTheirRequestAlone) {
  // One token's embedding is broken: only those who read it suffer.
  model_->visit_weights([](Weight& weight) {
    if (weight.name != "model.embed_tokens.weight") return;
    weight.value[static_cast<std::size_t>(90 * weight.shape[1])] =
        std::numeric_limits<float>::quiet_NaN();
  });
  model_->refresh(backend_);
  Engine engine(backend_, *model_);
  Request healthy = make_request({1, 2, 3}, 1);
  const Completion wanted = alone(healthy);
  const RequestId good = engine.submit(healthy);
  const RequestId bad = engine.submit(make_request({1, 90, 3}, 10));
  const std::vector<Engine::Event> events = engine.step();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].id, good);
  EXPECT_EQ(events[0].token.id, wanted.tokens[0].id);
  EXPECT_EQ(events[0].token.log_prob, wanted.tokens[0].log_prob);
  EXPECT_EQ(events[1].id, bad);
  EXPECT_EQ(events[1].finish, FinishReason::failed);
  EXPECT_THAT(events[1].error, testing::HasSubstr("not finite"));
  EXPECT_TRUE(engine.idle());
  EXPECT_EQ(engine.free_pages(), engine.pages());

  const std::vector<Request> both = {healthy, make_request({1, 90, 3}, 10)};
  EXPECT_THROW(engine.generate(both), Error);
  EXPECT_TRUE(engine.idle());
}

class EngineStressTest : public EngineTest, public testing::WithParamInterface<DraftSource> {};

// Requests come and go at random; whoever is left finishes as if alone, and no page is lost.
TEST_P(EngineStressTest, RequestsComeAndGo) {
  const std::vector<Request> requests = mixed_requests(40);
  std::vector<Completion> wanted;
  for (const Request& request : requests) wanted.push_back(alone(request));
  Rng rng(3);
  const auto twin = make_model(backend_, Precision::bf16);
  Engine engine(backend_, *model_,
                {.pages = 14,
                 .max_sequences = 7,
                 .max_batch_rows = 60,
                 .prefill_chunk = 23,
                 .speculation = {GetParam(), 3, twin.get()}});
  std::map<RequestId, std::size_t> live;
  std::map<RequestId, Completion> found;
  std::set<RequestId> cancelled;
  int submitted = 0, finished = 0;
  while (submitted < 300 || !engine.idle()) {
    if (submitted < 300 && live.size() < 20 && rng.chance(0.4)) {
      const std::size_t which = rng.below(static_cast<std::uint32_t>(requests.size()));
      live[engine.submit(requests[which])] = which;
      ++submitted;
    }
    if (!live.empty() && rng.chance(0.05)) {
      const auto victim =
          std::next(live.begin(), rng.below(static_cast<std::uint32_t>(live.size())));
      engine.cancel(victim->first);
      cancelled.insert(victim->first);
      live.erase(victim);
    }
    for (const Engine::Event& event : engine.step()) {
      if (cancelled.contains(event.id)) {
        EXPECT_EQ(event.finish, FinishReason::cancelled);
        continue;
      }
      ASSERT_TRUE(live.contains(event.id));
      found[event.id].tokens.push_back(event.token);
      if (!event.finished) continue;
      found[event.id].finish = event.finish;
      expect_same(found[event.id], wanted[live[event.id]], fmt::format("request {}", event.id));
      live.erase(event.id);
      ++finished;
    }
    if (live.empty()) {
      EXPECT_EQ(engine.free_pages(), engine.pages());
    }
  }
  EXPECT_EQ(engine.free_pages(), engine.pages());
  EXPECT_TRUE(live.empty());
  EXPECT_GT(finished, 100);
  EXPECT_GT(cancelled.size(), 10u);
}

INSTANTIATE_TEST_SUITE_P(Drafters, EngineStressTest,
                         testing::Values(DraftSource::none, DraftSource::prediction_module,
                                         DraftSource::draft_model, DraftSource::prompt_lookup));

}  // namespace
}  // namespace r1
