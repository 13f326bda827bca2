// With any drafter the same completions bit by bit, and drafts that are worth their name.

#include "engine/speculation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/engine_test_model.h"
#include "engine/lookup_drafter.h"

namespace r1 {
namespace {

using namespace engine_test;

// A draft model: the model itself with other weights here and there, so that it is often right.
std::unique_ptr<Model> make_draft_model(Backend& backend, Precision precision, float difference) {
  auto model = make_model(backend, precision);
  std::uint32_t index = 0;
  model->visit_weights([&](Weight& weight) {
    Rng rng(21, 0, index++);
    if (!weight.trainable) return;
    for (float& value : weight.value) value += difference * rng.normal();
  });
  model->refresh(backend);
  return model;
}

class SpeculationTest : public testing::TestWithParam<Precision> {
 protected:
  // Without speculation, each request by itself.
  const std::vector<Completion>& alone() {
    static std::map<Precision, std::vector<Completion>> known;
    std::vector<Completion>& completions = known[GetParam()];
    if (completions.empty()) {
      for (const Request& request : requests_) completions.push_back(alone(request));
    }
    return completions;
  }
  Completion alone(const Request& request) {
    Engine engine(backend_, *model_, {.pages = 8});
    return engine.generate(std::span(&request, 1)).front();
  }

  // Every source, drafting little and much.
  std::vector<SpeculationOptions> all_options(Model* draft_model) const {
    std::vector<SpeculationOptions> all;
    for (const std::int64_t tokens : {1, 3, 9}) {
      all.push_back({DraftSource::prediction_module, tokens, nullptr});
      all.push_back({DraftSource::draft_model, tokens, draft_model});
      all.push_back({DraftSource::prompt_lookup, tokens, nullptr});
    }
    return all;
  }
  static std::string name(const SpeculationOptions& options) {
    return fmt::format("source {}, {} tokens", static_cast<int>(options.source), options.tokens);
  }

  Backend backend_{1};
  std::unique_ptr<Model> model_ = make_model(backend_, GetParam(), 1);
  std::unique_ptr<Model> draft_model_ = make_draft_model(backend_, GetParam(), 0.01f);
  const std::vector<Request> requests_ = mixed_requests(32);
};

TEST_P(SpeculationTest, SameBitsAloneAndInABatch) {
  for (const SpeculationOptions& options : all_options(draft_model_.get())) {
    Engine engine(backend_, *model_, {.speculation = options});
    expect_same(engine.generate(requests_), alone(), name(options));
    const SpeculationStats stats = engine.stats().speculation;
    EXPECT_GT(stats.total_accepted(), 0) << name(options);
    EXPECT_LT(stats.total_accepted(), stats.total_drafted()) << name(options);
    EXPECT_LE(std::ssize(stats.drafted), options.tokens) << name(options);
    EXPECT_EQ(engine.free_pages(), engine.pages()) << name(options);
    // With prompts and completions found in the pages.
    expect_same(engine.generate(requests_), alone(), name(options) + ", again");
    for (std::size_t i = 0; i < requests_.size(); i += 5) {
      expect_same(engine.generate(std::span(&requests_[i], 1)).front(), alone()[i],
                  name(options) + ", by itself");
    }
  }
}

TEST_P(SpeculationTest, SameBitsInSmallPassesAndCaches) {
  for (const SpeculationOptions& options : all_options(draft_model_.get())) {
    for (const std::int64_t rows : {5, 40}) {
      Engine engine(backend_, *model_,
                    {.max_batch_rows = rows, .prefill_chunk = 7, .speculation = options});
      expect_same(engine.generate(requests_), alone(),
                  fmt::format("{}, {} rows", name(options), rows));
    }
    for (const std::int64_t pages : {4, 7, 12}) {
      Engine engine(backend_, *model_, {.pages = pages, .speculation = options});
      expect_same(engine.generate(requests_), alone(),
                  fmt::format("{}, {} pages", name(options), pages));
      EXPECT_EQ(engine.free_pages(), pages);
      EXPECT_LE(engine.stats().pages_used_peak, pages);
    }
  }
}

TEST_P(SpeculationTest, SameBitsThroughPreemption) {
  std::vector<Request> requests;
  std::vector<Completion> wanted;
  for (std::uint32_t i = 0; i < 6; ++i) {
    requests.push_back(make_request(random_tokens(i / 2, 20 + i / 2), 150, i));
    if (i % 2 == 0) requests.back().sampling.temperature = 0.0f;
    wanted.push_back(alone(requests.back()));
  }
  for (const SpeculationOptions& options : all_options(draft_model_.get())) {
    Engine engine(backend_, *model_, {.pages = 6, .prefill_chunk = 50, .speculation = options});
    expect_same(engine.generate(requests), wanted, name(options));
    EXPECT_GT(engine.stats().preemptions, 0) << name(options);
    EXPECT_EQ(engine.free_pages(), 6) << name(options);
  }
}

TEST_P(SpeculationTest, SameBitsOnAllInstructionSetsAndThreads) {
  const auto requests = std::span(requests_).first(12);
  const std::vector<Completion> wanted(alone().begin(), alone().begin() + 12);
  for (const Isa isa : supported_isas()) {
    for (const int threads : {1, 3}) {
      Backend backend(threads, isa);
      const auto model = make_model(backend, GetParam(), 1);
      const auto draft_model = make_draft_model(backend, GetParam(), 0.01f);
      for (const DraftSource source :
           {DraftSource::prediction_module, DraftSource::draft_model, DraftSource::prompt_lookup}) {
        const SpeculationOptions options{source, 3, draft_model.get()};
        Engine engine(backend, *model, {.speculation = options});
        expect_same(engine.generate(requests), wanted,
                    fmt::format("{}, {}, {} threads", name(options), name_of(isa), threads));
      }
    }
  }
}

// What was refused must not be found again: texts that go on from a completion, rightly or not.
TEST_P(SpeculationTest, RefusedTokensAreNeverShared) {
  for (const SpeculationOptions& options : all_options(draft_model_.get())) {
    Engine engine(backend_, *model_, {.speculation = options});
    std::vector<Request> requests = {make_request(random_tokens(1, 70), 130)};
    for (int turn = 0; turn < 3; ++turn) {
      const std::vector<Completion> found = engine.generate(requests);
      std::vector<Request> next;
      for (std::size_t i = 0; i < requests.size(); ++i) {
        expect_same(found[i], alone(requests[i]), fmt::format("{}, turn {}", name(options), turn));
        Request longer = requests[i];
        longer.max_tokens = 60;
        for (const SampledToken& token : found[i].tokens) longer.prompt.push_back(token.id);
        next.push_back(longer);
        longer.prompt.back() = (longer.prompt.back() + 1) % static_cast<std::int32_t>(kVocab);
        next.push_back(longer);
      }
      requests = std::move(next);
    }
    EXPECT_GT(engine.stats().shared_prompt_tokens, 400) << name(options);
  }
}

// Draws are coupled: a drafter with the model's own distribution proposes what the model draws.
TEST_P(SpeculationTest, ADraftModelWithTheSameWeightsIsAlwaysRight) {
  const auto twin = make_model(backend_, GetParam());
  for (const std::int64_t tokens : {1, 4}) {
    Engine engine(backend_, *model_,
                  {.speculation = {DraftSource::draft_model, tokens, twin.get()}});
    std::vector<Request> requests = requests_;
    for (Request& request : requests) request.stop_tokens.clear();
    std::int64_t passes = 0;
    for (const Completion& completion : engine.generate(requests)) {
      EXPECT_EQ(completion.speculation.accepted, completion.speculation.drafted);
      // The first token comes from the prompt's pass, the last is not drafted.
      const std::int64_t rest = std::ssize(completion.tokens) - 1;
      EXPECT_EQ(completion.speculation.passes, rest / (tokens + 1) + (rest % (tokens + 1) > 1));
      passes += completion.speculation.passes;
    }
    EXPECT_EQ(engine.stats().speculation.passes, passes);
    EXPECT_EQ(engine.stats().speculation.drafted, engine.stats().speculation.accepted);
  }
}

// Whatever shares, copies, gives back and reads anew, the draft model's cache follows.
TEST_P(SpeculationTest, ADraftModelsCacheFollowsTheModels) {
  const auto twin = make_model(backend_, GetParam());
  const SpeculationOptions options{DraftSource::draft_model, 3, twin.get()};
  for (const std::int64_t pages : {7, 12, 64}) {
    Engine engine(
        backend_, *model_,
        {.pages = pages, .max_batch_rows = 40, .prefill_chunk = 23, .speculation = options});
    std::vector<Request> requests = requests_;
    for (Request& request : requests) request.stop_tokens.clear();
    engine.generate(requests);
    engine.generate(requests);
    const SpeculationStats& stats = engine.stats().speculation;
    EXPECT_GT(stats.total_drafted(), 500) << pages;
    EXPECT_EQ(stats.total_accepted(), stats.total_drafted()) << pages;
  }
}

TEST_P(SpeculationTest, ADraftModelMayHaveAShorterContext) {
  ModelConfig config = draft_model_->config();
  config.max_position_embeddings = 60;
  const auto small = Model::initialise(backend_, config, GetParam(), 7);
  for (const std::int64_t tokens : {1, 5}) {
    const SpeculationOptions options{DraftSource::draft_model, tokens, small.get()};
    Engine engine(backend_, *model_, {.speculation = options});
    expect_same(engine.generate(requests_), alone(), name(options));
    expect_same(engine.generate(requests_), alone(), name(options) + ", again");
    EXPECT_GT(engine.stats().speculation.total_accepted(), 0);
  }
}

TEST_P(SpeculationTest, BrokenTokensInADraftDoNoHarm) {
  // The model cannot read token 90; a draft model that can will sometimes propose it, and one that
  // can read nothing proposes nonsense.
  const auto break_token = [&](Model& model, std::int64_t first, std::int64_t last) {
    model.visit_weights([&](Weight& weight) {
      if (weight.name != "model.embed_tokens.weight") return;
      for (std::int64_t id = first; id < last; ++id) {
        weight.value[static_cast<std::size_t>(id * weight.shape[1])] =
            std::numeric_limits<float>::quiet_NaN();
      }
    });
    model.refresh(backend_);
  };
  break_token(*model_, 90, 91);
  const auto different = make_draft_model(backend_, GetParam(), 0.1f);
  const auto broken = make_draft_model(backend_, GetParam(), 0.0f);
  break_token(*broken, 0, kVocab);
  std::vector<Request> requests;
  for (const Request& request : requests_) {
    if (std::ranges::find(request.prompt, 90) == request.prompt.end()) requests.push_back(request);
  }
  const auto run = [&](const SpeculationOptions& options) {
    Engine engine(backend_, *model_, {.speculation = options});
    std::vector<Completion> completions(requests.size());
    std::map<RequestId, std::size_t> index;
    for (std::size_t i = 0; i < requests.size(); ++i) index[engine.submit(requests[i])] = i;
    while (!engine.idle()) {
      for (const Engine::Event& event : engine.step()) {
        Completion& completion = completions[index.at(event.id)];
        if (event.token.id >= 0) completion.tokens.push_back(event.token);
        if (event.finished) completion.finish = event.finish;
      }
    }
    EXPECT_EQ(engine.free_pages(), engine.pages());
    return completions;
  };
  const std::vector<Completion> wanted = run({});
  for (Model* draft_model : {different.get(), broken.get()}) {
    const SpeculationOptions options{DraftSource::draft_model, 4, draft_model};
    expect_same(run(options), wanted, name(options));
  }
}

TEST_P(SpeculationTest, NewWeightsMidway) {
  const Request request = make_request(random_tokens(1, 100), 40);
  Engine engine(backend_, *model_, {.speculation = {DraftSource::prediction_module, 2, nullptr}});
  engine.submit(request);
  std::vector<SampledToken> drawn;
  const auto step = [&] {
    for (const Engine::Event& event : engine.step()) drawn.push_back(event.token);
  };
  for (int i = 0; i < 10; ++i) step();
  const std::size_t before = drawn.size();
  model_->visit_weights([](Weight& weight) {
    if (weight.trainable) weight.value[0] += 0.5f;
  });
  model_->refresh(backend_);
  while (!engine.idle()) step();
  Request rest = request;
  for (std::size_t i = 0; i < before; ++i) rest.prompt.push_back(drawn[i].id);
  rest.max_tokens = 40 - static_cast<std::int64_t>(before);
  Completion continued;
  continued.tokens.assign(drawn.begin() + static_cast<std::ptrdiff_t>(before), drawn.end());
  expect_same(continued, alone(rest), "the rest, by the new weights");
}

TEST_P(SpeculationTest, RefusesDraftersThatDoNotFit) {
  const auto plain = make_model(backend_, GetParam());
  ModelConfig config = draft_model_->config();
  config.vocab_size = 50;
  const auto other = Model::initialise(backend_, config, GetParam(), 7);
  const auto message = [&](Model& model, const SpeculationOptions& options) -> std::string {
    try {
      Engine engine(backend_, model, {.speculation = options});
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  using testing::HasSubstr;
  EXPECT_THAT(message(*plain, {DraftSource::prediction_module, 0, nullptr}),
              HasSubstr("no multi-token prediction module"));
  EXPECT_THAT(message(*model_, {DraftSource::draft_model, 0, other.get()}),
              HasSubstr("its vocabulary has 50 tokens, the model's 97"));
  EXPECT_THAT(message(*model_, {DraftSource::prompt_lookup, -1, nullptr}), HasSubstr("-1"));
  EXPECT_THAT(message(*model_, {DraftSource::prompt_lookup, 33, nullptr}), HasSubstr("33"));
  EXPECT_EQ(message(*model_, {DraftSource::prompt_lookup, 32, nullptr}), "accepted");
}

INSTANTIATE_TEST_SUITE_P(Precisions, SpeculationTest,
                         testing::Values(Precision::f32, Precision::bf16),
                         [](const auto& precision) {
                           return std::string(precision.param == Precision::f32 ? "f32" : "bf16");
                         });

TEST(LookupDrafterTest, FindsTheLongestAndLatestAgreement) {
  const auto expect = [](std::vector<std::int32_t> tokens, std::int64_t next, std::int64_t length) {
    const Recurrence found = find_recurrence(tokens);
    EXPECT_EQ(found.length, length);
    if (length > 0) {
      EXPECT_EQ(found.next, next);
    }
  };
  expect({}, 0, 0);
  expect({1}, 0, 0);
  expect({1, 1, 1}, 0, 0);
  expect({1, 1, 1, 1}, 3, 3);                             // overlapping: a repetition repeats
  expect({2, 3, 4, 2, 3}, 0, 0);                          // two tokens say too little
  expect({1, 2, 3, 4, 1, 2, 3}, 3, 3);                    // at the very beginning
  expect({1, 2, 3, 7, 1, 2, 3, 8, 1, 2, 3}, 7, 3);        // the latest
  expect({9, 1, 2, 3, 7, 1, 2, 3, 8, 9, 1, 2, 3}, 4, 4);  // the longest
  expect({1, 2, 1, 2, 1, 2}, 4, 4);
  expect(std::vector<std::int32_t>(200, 5), 199, kMaxDraftTokens);
}

TEST(SpeculationStatsTest, CountsByPlace) {
  SpeculationStats stats;
  stats.add(0, 0);
  EXPECT_EQ(stats.passes, 0);
  stats.add(2, 1);
  stats.add(4, 4);
  stats.add(1, 0);
  EXPECT_EQ(stats.passes, 3);
  EXPECT_THAT(stats.drafted, testing::ElementsAre(3, 2, 1, 1));
  EXPECT_THAT(stats.accepted, testing::ElementsAre(2, 1, 1, 1));
  EXPECT_EQ(stats.total_drafted(), 7);
  EXPECT_EQ(stats.total_accepted(), 5);
}

}  // namespace
}  // namespace r1
