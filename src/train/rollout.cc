#include "train/rollout.h"

#include <algorithm>
#include <cmath>

#include "text/chat_template.h"
#include "train/data.h"
#include "train/policy_loss.h"

namespace r1::train {
namespace {

// How often dynamic sampling draws again before it takes what it has.
constexpr int kMaxDraws = 4;

// Keys of the evaluation's draws, apart from all training steps.
constexpr std::uint64_t kEvaluationSeed = 0x6865'6c64'6f75'74;

double weight_of(const std::vector<WeightedName>& weights, std::string_view name) {
  for (const WeightedName& weight : weights) {
    if (weight.name == name) return weight.weight;
  }
  return 0.0;
}

bool all_rewards_equal(std::span<const RolloutSample> group) {
  return std::ranges::all_of(
      group, [&](const RolloutSample& sample) { return sample.reward == group[0].reward; });
}

}  // namespace

RolloutSource::RolloutSource(const GrpoRecipe& recipe, const text::Tokenizer& tokenizer,
                             Engine& engine)
    : recipe_(recipe), tokenizer_(tokenizer), engine_(engine), shares_(task_shares(recipe.tasks)) {}

tasks::Problem RolloutSource::draw(tasks::Split split, std::int64_t index) const {
  Rng rng(recipe_.run.seed, static_cast<std::uint32_t>(index >> 32),
          static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(split));
  return tasks::draw_task(shares_, rng)
      .generate(split, recipe_.run.seed, static_cast<std::uint64_t>(index));
}

void RolloutSource::answer(std::span<const tasks::Problem> problems, std::int64_t generations,
                           std::uint64_t seed, std::int64_t step, std::int64_t first_sample,
                           std::vector<RolloutSample>& samples) {
  R1_CHECK(tokenizer_.eos_id().has_value(), "a tokenizer without an end token");
  std::vector<Request> requests;
  for (const tasks::Problem& problem : problems) {
    const Sequence prompt =
        encode_prompt(tokenizer_, text::render_r1_zero(recipe_.prompt_template, problem.question));
    for (std::int64_t i = 0; i < generations; ++i) {
      Request request;
      request.prompt = prompt;
      request.max_tokens = recipe_.max_completion_length;
      request.stop_tokens = {*tokenizer_.eos_id()};
      request.sampling.temperature = static_cast<float>(recipe_.temperature);
      request.sampling.top_k = recipe_.top_k;
      request.sampling.top_p = static_cast<float>(recipe_.top_p);
      request.sampling.seed = seed;
      request.sampling.step = static_cast<std::uint32_t>(step);
      request.sampling.sample = static_cast<std::uint32_t>(first_sample + std::ssize(requests));
      requests.push_back(std::move(request));
    }
  }
  const std::vector<Completion> completions = engine_.generate(requests);
  for (std::size_t i = 0; i < completions.size(); ++i) {
    const std::size_t problem = i / static_cast<std::size_t>(generations);
    RolloutSample sample;
    sample.group = problem;
    sample.ids = std::move(requests[i].prompt);
    sample.prompt_length = std::ssize(sample.ids);
    Sequence completion;
    for (const SampledToken& token : completions[i].tokens) {
      completion.push_back(token.id);
      sample.log_probs.push_back(token.log_prob);
      sample.entropy += static_cast<double>(token.entropy);
    }
    sample.ids.insert(sample.ids.end(), completion.begin(), completion.end());
    sample.truncated = completions[i].finish == FinishReason::length;
    sample.completion = tokenizer_.decode(completion, true);
    sample.parts = tasks::grade(problems[problem], sample.completion);
    sample.reward = weight_of(recipe_.reward_weights, "accuracy") * sample.parts.accuracy +
                    weight_of(recipe_.reward_weights, "format") * sample.parts.format;
    samples.push_back(std::move(sample));
  }
}

void RolloutSource::set_advantages(Rollout& rollout) const {
  const std::size_t size = static_cast<std::size_t>(recipe_.num_generations);
  double squares = 0.0;
  for (std::size_t first = 0; first < rollout.samples.size(); first += size) {
    const std::span<RolloutSample> group = std::span(rollout.samples).subspan(first, size);
    std::vector<double> rewards;
    for (const RolloutSample& sample : group) rewards.push_back(sample.reward);
    const std::vector<double> advantages =
        group_advantages(rewards, recipe_.scale_rewards == ScaleRewards::kGroup);
    for (std::size_t i = 0; i < size; ++i) {
      group[i].advantage = advantages[i];
      squares += advantages[i] * advantages[i];
    }
  }
  if (recipe_.scale_rewards != ScaleRewards::kBatch || squares == 0.0) return;
  const double std = std::sqrt(squares / static_cast<double>(rollout.samples.size()));
  for (RolloutSample& sample : rollout.samples) sample.advantage /= std + 1e-4;
}

Rollout RolloutSource::sample(std::int64_t step, std::int64_t first_problem,
                              std::int64_t* next_problem) {
  const std::size_t wanted = static_cast<std::size_t>(recipe_.prompts_per_step);
  const std::size_t group_size = static_cast<std::size_t>(recipe_.num_generations);
  Rollout rollout;
  std::int64_t next = first_problem, drawn_samples = 0;
  for (int draw_number = 0; rollout.problems.size() < wanted; ++draw_number) {
    std::vector<tasks::Problem> problems;
    while (rollout.problems.size() + problems.size() < wanted) {
      problems.push_back(draw(tasks::Split::kTrain, next++));
    }
    std::vector<RolloutSample> samples;
    answer(problems, recipe_.num_generations, recipe_.run.seed, step, drawn_samples, samples);
    drawn_samples += std::ssize(samples);
    const bool choosy = recipe_.dynamic_sampling && draw_number + 1 < kMaxDraws;
    for (std::size_t i = 0; i < problems.size(); ++i) {
      const std::span<RolloutSample> group = std::span(samples).subspan(i * group_size, group_size);
      if (choosy && all_rewards_equal(group)) continue;
      for (RolloutSample& sample : group) {
        sample.group = rollout.problems.size();
        rollout.samples.push_back(std::move(sample));
      }
      rollout.problems.push_back(std::move(problems[i]));
    }
  }
  *next_problem = next;
  set_advantages(rollout);
  return rollout;
}

double RolloutSource::held_out_accuracy(std::int64_t problems) {
  std::vector<tasks::Problem> drawn;
  for (std::int64_t i = 0; i < problems; ++i) drawn.push_back(draw(tasks::Split::kHeldOut, i));
  std::vector<RolloutSample> samples;
  answer(drawn, 1, kEvaluationSeed, 0, 0, samples);
  const auto correct = std::ranges::count_if(
      samples, [](const RolloutSample& sample) { return sample.parts.correct; });
  return static_cast<double>(correct) / static_cast<double>(problems);
}

}  // namespace r1::train
