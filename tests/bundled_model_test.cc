// The model that quickstart opens: it is there, small, and thinks the same thoughts, bit for bit,
// on every instruction set.

#include <gtest/gtest.h>

#include <bit>
#include <filesystem>

#include "eval/ask.h"
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
      const eval::ReasoningModel model = eval::load_reasoning_model(backend, kModel);
      Engine engine(backend, *model.model);
      eval::AskOptions options;
      options.sampling = model.sampling;
      options.max_tokens = 192;
      const eval::Answer answer = eval::ask(engine, model, "Solve 3x + 7 = 31 for x.", options);
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

// Half of what was measured, so that only a broken model or engine fails.
TEST(BundledModel, SolvesHeldOutProblems) {
  Backend backend(2);
  const eval::ReasoningModel model = eval::load_reasoning_model(backend, kModel);
  Engine engine(backend, *model.model);
  const tasks::Task& task = tasks::find_task("linear");
  int correct = 0;
  constexpr int kProblems = 40;
  for (std::uint64_t i = 0; i < kProblems; ++i) {
    const tasks::Problem problem = task.generate(tasks::Split::kHeldOut, 5, i);
    eval::AskOptions options;
    options.sampling = model.sampling;
    options.max_tokens = 192;
    const eval::Answer answer = eval::ask(engine, model, problem.question, options);
    correct += tasks::grade(problem, answer.text).correct ? 1 : 0;
  }
  EXPECT_GE(correct, kProblems * 4 / 10);
}

}  // namespace
}  // namespace r1
