// The model that quickstart opens: it is there, small, and thinks the same thoughts, bit for bit,
// on every instruction set.

#include <gtest/gtest.h>

#include <bit>
#include <filesystem>

#include "reasoning/ask.h"
#include "tasks/grade.h"
#include "tasks/task.h"

namespace r1 {
namespace {

const std::filesystem::path kModel = "models/r1-zero-nano";

TEST(BundledModel, IsSmall) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kModel)) bytes += entry.file_size();
  EXPECT_LE(bytes, std::uintmax_t{12} << 20);
}

TEST(BundledModel, SameBitsOnEveryInstructionSetAndThreadCount) {
  std::vector<SampledToken> first;
  for (const Isa isa : supported_isas()) {
    for (const int threads : {1, 2, 3}) {
      Backend backend(threads, isa);
      const reasoning::ReasoningModel model = reasoning::load_reasoning_model(backend, kModel);
      Engine engine(backend, *model.model);
      reasoning::AskOptions options;
      options.sampling = model.sampling;
      options.max_tokens = 192;
      const reasoning::Answer answer =
          reasoning::ask(engine, model, reasoning::question("Solve 3x + 7 = 31 for x."), options);
      EXPECT_TRUE(answer.well_formed) << answer.text;
      EXPECT_EQ(answer.answer, "8") << answer.text;
      if (first.empty()) first = answer.tokens;
      ASSERT_EQ(answer.tokens.size(), first.size()) << name_of(isa) << ", " << threads;
      for (std::size_t i = 0; i < first.size(); ++i) {
        EXPECT_EQ(answer.tokens[i].id, first[i].id);
        EXPECT_EQ(std::bit_cast<std::uint32_t>(answer.tokens[i].log_prob),
                  std::bit_cast<std::uint32_t>(first[i].log_prob));
      }
    }
  }
}

// Ids, log-probs and texts, also where a stop text ends an answer in the middle of what was drawn.
TEST(BundledModel, SpeculationChangesNoBit) {
  const tasks::Task& task = tasks::find_task("knights");  // they repeat themselves
  for (const Isa isa : supported_isas()) {
    Backend backend(2, isa);
    const reasoning::ReasoningModel model = reasoning::load_reasoning_model(backend, kModel);
    const auto twin = Model::load(backend, kModel, LoadOptions{});
    Engine plain(backend, *model.model);
    for (const DraftSource source :
         {DraftSource::prediction_module, DraftSource::draft_model, DraftSource::prompt_lookup}) {
      EngineOptions engine_options;
      engine_options.speculation = {.source = source, .tokens = 3, .draft_model = twin.get()};
      Engine engine(backend, *model.model, engine_options);
      // The others are slow; what they share with the fastest is tested nearer by.
      const std::uint32_t problems = isa == choose_isa() ? 6 : 1;
      for (std::uint32_t i = 0; i < problems; ++i) {
        const tasks::Problem problem = task.generate(tasks::Split::kHeldOut, 6, i);
        reasoning::AskOptions options;
        options.sampling.temperature = i % 3 == 0 ? 0.0f : 0.8f;
        options.sampling.top_p = i % 3 == 1 ? 0.9f : 1.0f;
        options.sampling.repetition_penalty = i % 2 == 0 ? 1.0f : 1.05f;
        options.sampling.sample = i;
        options.max_tokens = 120;
        if (i >= 4) options.stops = {"er>", "ight"};
        std::string shown, wanted_shown;
        const auto collect = [](std::string& text) {
          return [&text](const text::SectionEvent& event) { text += event.text; };
        };
        const reasoning::Answer wanted = reasoning::ask(plain, model, model.pose(problem.question),
                                                        options, collect(wanted_shown));
        const reasoning::Answer answer =
            reasoning::ask(engine, model, model.pose(problem.question), options, collect(shown));
        EXPECT_EQ(answer.text, wanted.text);
        EXPECT_EQ(shown, wanted_shown);
        EXPECT_EQ(answer.finish, wanted.finish);
        ASSERT_EQ(answer.tokens.size(), wanted.tokens.size());
        for (std::size_t t = 0; t < answer.tokens.size(); ++t) {
          EXPECT_EQ(answer.tokens[t].id, wanted.tokens[t].id);
          EXPECT_EQ(std::bit_cast<std::uint32_t>(answer.tokens[t].log_prob),
                    std::bit_cast<std::uint32_t>(wanted.tokens[t].log_prob));
        }
      }
      if (problems > 1) {
        EXPECT_GT(engine.stats().speculation.total_accepted(), 0);
      }
    }
  }
}

// Well below what was measured (93 of 100): the module was trained and is wired as in training.
TEST(BundledModel, ItsPredictionModuleIsMostlyRight) {
  Backend backend(2);
  const reasoning::ReasoningModel model = reasoning::load_reasoning_model(backend, kModel);
  EngineOptions engine_options;
  engine_options.speculation = {DraftSource::prediction_module, 1, nullptr};
  Engine engine(backend, *model.model, engine_options);
  const tasks::Task& task = tasks::find_task("gcd");
  for (std::uint64_t i = 0; i < 10; ++i) {
    reasoning::AskOptions options;
    options.max_tokens = 192;
    reasoning::ask(engine, model, model.pose(task.generate(tasks::Split::kHeldOut, 5, i).question),
                   options);
  }
  const SpeculationStats& stats = engine.stats().speculation;
  EXPECT_GT(stats.total_drafted(), 100);
  EXPECT_GT(stats.total_accepted() * 10, stats.total_drafted() * 8);
}

// Half of what was measured, so that only a broken model or engine fails.
TEST(BundledModel, SolvesHeldOutProblems) {
  Backend backend(2);
  const reasoning::ReasoningModel model = reasoning::load_reasoning_model(backend, kModel);
  Engine engine(backend, *model.model);
  const tasks::Task& task = tasks::find_task("linear");
  int correct = 0;
  constexpr int kProblems = 40;
  for (std::uint64_t i = 0; i < kProblems; ++i) {
    const tasks::Problem problem = task.generate(tasks::Split::kHeldOut, 5, i);
    reasoning::AskOptions options;
    options.sampling = model.sampling;
    options.max_tokens = 192;
    const reasoning::Answer answer =
        reasoning::ask(engine, model, model.pose(problem.question), options);
    correct += tasks::grade(problem, answer.text).correct ? 1 : 0;
  }
  EXPECT_GE(correct, kProblems * 4 / 10);
}

}  // namespace
}  // namespace r1
