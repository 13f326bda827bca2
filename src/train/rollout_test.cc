#include "train/rollout.h"

#include <gtest/gtest.h>

#include <cstring>

#include "text/chat_template.h"
#include "train/data.h"
#include "train/policy_forward.h"
#include "train/recipe.h"
#include "train/train_test_model.h"

namespace r1::train {
namespace {

class RolloutTest : public testing::TestWithParam<r1::Precision> {
 protected:
  RolloutTest()
      : base_(
            std::get<PretrainRecipe>(parse_recipe(train_test::pretrain_recipe("unused"), "base"))),
        recipe_(std::get<GrpoRecipe>(
            parse_recipe(train_test::grpo_recipe("unused", "unused", "unused"), "recipe"))),
        tokenizer_(TrainingText(base_.data, base_.max_length).train_tokenizer()) {
    ModelConfig config = parse_config(
        model_config_json(base_.model, tokenizer_.vocab_size(), base_.run.precision), "model");
    config.initializer_range = 0.2;
    model_ = Model::initialise(backend_, config, GetParam(), 1);
    engine_.emplace(backend_, *model_);
  }
  Rollout sample(std::int64_t step, std::int64_t first, std::int64_t* next) {
    return RolloutSource(recipe_, tokenizer_, *engine_).sample(step, first, next);
  }

  Backend backend_{2};
  PretrainRecipe base_;
  GrpoRecipe recipe_;
  text::Tokenizer tokenizer_;
  std::unique_ptr<Model> model_;
  std::optional<Engine> engine_;
};

TEST_P(RolloutTest, SamplesStandGroupByGroup) {
  std::int64_t next = 0;
  const Rollout rollout = sample(3, 20, &next);
  EXPECT_EQ(next, 24);
  ASSERT_EQ(rollout.problems.size(), 4u);
  ASSERT_EQ(rollout.samples.size(), 16u);
  int ended = 0;
  for (std::size_t i = 0; i < rollout.samples.size(); ++i) {
    const RolloutSample& sample = rollout.samples[i];
    EXPECT_EQ(sample.group, i / 4);
    const tasks::Problem& problem = rollout.problems[sample.group];
    EXPECT_FALSE(tasks::find_task(problem.task).is_held_out(problem.parameters));
    const Sequence prompt =
        encode_prompt(tokenizer_, text::render_r1_zero(recipe_.prompt_template, problem.question));
    ASSERT_EQ(sample.prompt_length, std::ssize(prompt));
    EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), sample.ids.begin()));
    EXPECT_EQ(std::ssize(sample.ids), sample.prompt_length + sample.completion_length());
    EXPECT_GE(sample.completion_length(), 1);
    EXPECT_LE(sample.completion_length(), recipe_.max_completion_length);
    EXPECT_EQ(sample.truncated, sample.ids.back() != *tokenizer_.eos_id());
    ended += sample.truncated ? 0 : 1;
    EXPECT_GT(sample.entropy, 0.0);
    for (const float log_prob : sample.log_probs) EXPECT_LT(log_prob, 0.0f);
    EXPECT_EQ(sample.reward, sample.parts.accuracy + sample.parts.format);
  }
  EXPECT_LT(ended, 16);
}

TEST_P(RolloutTest, ItsNameIsAllThatCounts) {
  std::int64_t next = 0;
  const Rollout first = sample(3, 20, &next);
  sample(4, 24, &next);  // another between
  const Rollout again = sample(3, 20, &next);
  const Rollout other_step = sample(4, 20, &next);
  int differ = 0;
  for (std::size_t i = 0; i < first.samples.size(); ++i) {
    EXPECT_EQ(first.samples[i].ids, again.samples[i].ids);
    EXPECT_EQ(first.samples[i].log_probs, again.samples[i].log_probs);
    differ += first.samples[i].ids != other_step.samples[i].ids ? 1 : 0;
  }
  EXPECT_GT(differ, 8);
  // Members of a group are not copies of each other.
  EXPECT_NE(first.samples[0].ids, first.samples[1].ids);
}

// Exactly on-policy: the trainer's log-probabilities are the sampler's, whatever the micro-batch.
TEST_P(RolloutTest, TheTrainersLogProbsAreTheSamplers) {
  for (const double temperature : {1.0, 0.7}) {
    recipe_.temperature = temperature;
    std::int64_t next = 0;
    const Rollout rollout = sample(1, 0, &next);
    std::vector<const RolloutSample*> samples;
    for (const RolloutSample& one : rollout.samples) samples.push_back(&one);
    for (const std::int64_t micro_batch : {1, 300, 100000}) {
      Arena arena;
      const auto found =
          completion_log_probs(backend_, arena, *model_, samples, temperature, micro_batch);
      ASSERT_EQ(found.size(), samples.size());
      for (std::size_t i = 0; i < samples.size(); ++i) {
        ASSERT_EQ(found[i].size(), samples[i]->log_probs.size());
        EXPECT_EQ(std::memcmp(found[i].data(), samples[i]->log_probs.data(),
                              found[i].size() * sizeof(float)),
                  0)
            << "sample " << i << ", micro-batches of " << micro_batch;
      }
    }
  }
}

// A random model earns nothing, so that every group is flat: it is replaced, but not for ever.
TEST_P(RolloutTest, DynamicSamplingDrawsABoundedNumberOfTimes) {
  recipe_.dynamic_sampling = true;
  std::int64_t next = 0;
  const Rollout rollout = sample(1, 100, &next);
  ASSERT_EQ(rollout.problems.size(), 4u);
  EXPECT_EQ(rollout.samples.size(), 16u);
  EXPECT_GT(next, 104);
  EXPECT_LE(next, 100 + 4 * 16);
  for (const RolloutSample& sample : rollout.samples) EXPECT_EQ(sample.advantage, 0.0);
}

TEST_P(RolloutTest, HeldOutAccuracyIsRepeatable) {
  RolloutSource source(recipe_, tokenizer_, *engine_);
  const double accuracy = source.held_out_accuracy(5);
  EXPECT_GE(accuracy, 0.0);
  EXPECT_LE(accuracy, 1.0);
  EXPECT_EQ(source.held_out_accuracy(5), accuracy);
}

INSTANTIATE_TEST_SUITE_P(Precisions, RolloutTest,
                         testing::Values(r1::Precision::f32, r1::Precision::bf16),
                         [](const testing::TestParamInfo<r1::Precision>& test) {
                           return test.param == r1::Precision::f32 ? "f32" : "bf16";
                         });

}  // namespace
}  // namespace r1::train
