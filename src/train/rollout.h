#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "tasks/corpus.h"
#include "tasks/grade.h"
#include "text/tokenizer.h"
#include "train/packing.h"
#include "train/recipe.h"

namespace r1::train {

// One sampled answer.
struct RolloutSample {
  std::size_t group = 0;  // index into Rollout::problems
  Sequence ids;           // prompt and completion
  std::int64_t prompt_length = 0;
  std::vector<float> log_probs;  // of the completion's tokens, when they were drawn
  double entropy = 0.0;          // summed over the completion's tokens
  bool truncated = false;        // ran into max_completion_length
  std::string completion;        // decoded
  tasks::RewardParts parts;
  double reward = 0.0;  // weighted sum of the parts
  double advantage = 0.0;

  std::int64_t completion_length() const { return std::ssize(log_probs); }
};

// The answers that one policy gave, group by group: num_generations per problem.
struct Rollout {
  std::vector<tasks::Problem> problems;
  std::vector<RolloutSample> samples;
};

// Draws problems and lets the policy answer them.
class RolloutSource {
 public:
  RolloutSource(const GrpoRecipe& recipe, const text::Tokenizer& tokenizer, Engine& engine);

  // `step` and `first_problem` name the rollout: the same names, weights and recipe give the same
  // rollout. *next_problem is where the next one begins. With dynamic_sampling, groups whose
  // rewards are all equal are replaced, a bounded number of times.
  Rollout sample(std::int64_t step, std::int64_t first_problem, std::int64_t* next_problem);

  // Share of held-out problems that the policy answers right, at the recipe's temperature.
  double held_out_accuracy(std::int64_t problems);

 private:
  tasks::Problem draw(tasks::Split split, std::int64_t index) const;
  void answer(std::span<const tasks::Problem> problems, std::int64_t generations,
              std::uint64_t seed, std::int64_t step, std::int64_t first_sample,
              std::vector<RolloutSample>& samples);
  void set_advantages(Rollout& rollout) const;

  const GrpoRecipe& recipe_;
  const text::Tokenizer& tokenizer_;
  Engine& engine_;
  std::vector<tasks::TaskShare> shares_;
};

}  // namespace r1::train
