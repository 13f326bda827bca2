#include "train/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "train/recipe_schema.h"

namespace r1::train {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kPretrain = R"(stage: pretrain
output_dir: runs/base
learning_rate: 3e-3
model:
  hidden_size: 192
  q_lora_rank: 96
data:
  tasks: {gcd: 1, countdown: 2.5}
  seed: 18446744073709551615
)";
constexpr const char* kGrpo = "stage: grpo\nmodel: runs/base/final\n";

PretrainRecipe pretrain(std::string_view text, const std::vector<std::string>& overrides = {}) {
  return std::get<PretrainRecipe>(parse_recipe(text, "base.yaml", overrides));
}
GrpoRecipe grpo(const std::string& more, const std::vector<std::string>& overrides = {}) {
  return std::get<GrpoRecipe>(parse_recipe(kGrpo + more, "zero.yaml", overrides));
}
template <typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "(no error)";
}
std::string grpo_error(const std::string& more, const std::vector<std::string>& overrides = {}) {
  return error_of([&] { grpo(more, overrides); });
}

TEST(Recipe, ReadsGivenKeysAndKeepsDefaults) {
  const PretrainRecipe r = pretrain(kPretrain);
  EXPECT_EQ(r.run.output_dir, "runs/base");
  EXPECT_EQ(r.optimizer.learning_rate, 3e-3);
  EXPECT_EQ(r.optimizer.adam_beta2, 0.95);
  EXPECT_EQ(r.model.hidden_size, 192);
  EXPECT_EQ(r.model.q_lora_rank, 96);
  EXPECT_EQ(r.data.seed, 18446744073709551615ull);
  EXPECT_THAT(r.data.tasks, ElementsAre(WeightedName{"gcd", 1}, WeightedName{"countdown", 2.5}));
}

TEST(Recipe, ResolvedYamlLoadsToTheSameRecipe) {
  const PretrainRecipe base = pretrain(kPretrain);
  EXPECT_EQ(pretrain(resolved_yaml(base)), base);
  EXPECT_EQ(resolved_yaml(pretrain(resolved_yaml(base))), resolved_yaml(base));

  const PretrainRecipe from_path =
      pretrain("stage: pretrain\nmodel: 'some dir/with: colon'\nmax_length: 4000\n");
  EXPECT_EQ(pretrain(resolved_yaml(from_path)), from_path);
  EXPECT_EQ(from_path.model.path, "some dir/with: colon");

  const GrpoRecipe zero = grpo(
      "epsilon_high: 0.28\nlearning_rate: 0.1234567890123\nloss_type: token-mean\n"
      "prompt_template: \"a\\n\\\"b\\\" \\\\ 思考 null\\u0001\"\ntasks: [gcd, 'null']\n"
      "reward_weights: {format: 0.2}\nper_device_train_batch_size: 64\n"
      "gradient_accumulation_steps: 2\nsteps_per_generation: 4\n");
  EXPECT_EQ(std::get<GrpoRecipe>(parse_recipe(resolved_yaml(zero), "r")), zero);
}

TEST(Recipe, EveryFieldSurvivesTheRoundTrip) {
  // All values differ from their defaults, so a field that is printed but not read, or the other
  // way round, shows.
  GrpoRecipe zero = grpo("");
  zero.run = {.output_dir = "o",
              .max_steps = 7,
              .seed = 8,
              .threads = 9,
              .precision = Precision::kFp32,
              .gradient_checkpointing = true,
              .logging_steps = 3,
              .save_steps = 4,
              .save_total_limit = 5,
              .eval_steps = 6,
              .eval_problems = 10};
  zero.optimizer = {.optim = OptimizerKind::kMuon,
                    .learning_rate = 0.5,
                    .lr_scheduler_type = LrScheduler::kLinear,
                    .min_lr_rate = 0.25,
                    .warmup_steps = 2,
                    .max_grad_norm = 3,
                    .weight_decay = 0.3,
                    .adam_beta1 = 0.4,
                    .adam_beta2 = 0.6,
                    .adam_epsilon = 1e-5,
                    .muon_momentum = 0.8};
  zero.ref_model = "ref";
  zero.tasks = {{"b", 2}, {"a", 0.1}};
  zero.prompt_template = "plain";
  zero.prompts_per_step = 6;
  zero.num_generations = 4;
  zero.steps_per_generation = 3;
  zero.num_iterations = 2;
  zero.micro_batch_tokens = 999;
  zero.loss_type = LossType::kDrGrpo;
  zero.scale_rewards = ScaleRewards::kNone;
  zero.beta = 0.001;
  zero.epsilon = 10;
  zero.epsilon_high = 11;
  zero.sync_ref_model = true;
  zero.ref_model_sync_steps = 400;
  zero.dynamic_sampling = true;
  zero.mask_truncated_completions = true;
  zero.reward_funcs = {"format", "accuracy"};
  zero.reward_weights = {{"format", 0.1}, {"accuracy", 0.9}};
  zero.temperature = 0.7;
  zero.top_p = 0.9;
  zero.top_k = 40;
  zero.max_completion_length = 99;
  zero.log_completions = false;
  zero.log_completions_steps = 11;
  zero.num_completions_to_print = 12;
  EXPECT_EQ(std::get<GrpoRecipe>(parse_recipe(resolved_yaml(zero), "r")), zero);
}

TEST(Recipe, UnknownKeyNamesFileLineAndNearestKey) {
  EXPECT_EQ(grpo_error("num_generation: 4\n"),
            "zero.yaml:3: unknown key 'num_generation'; the nearest known key is "
            "'num_generations'");
  EXPECT_THAT(grpo_error("learnign_rate: 4\n"), HasSubstr("'learning_rate'"));
  EXPECT_EQ(error_of([] { pretrain("stage: pretrain\nmodel:\n  hiden_size: 4\n"); }),
            "base.yaml:3: unknown key 'model.hiden_size'; the nearest known key is "
            "'model.hidden_size'");
  // The right key in the wrong section.
  EXPECT_THAT(error_of([] { pretrain("stage: pretrain\nhidden_size: 4\n"); }),
              HasSubstr("'model.hidden_size'"));
  EXPECT_THAT(grpo_error("", {"lerning_rate=1"}),
              AllOf(HasSubstr("--set lerning_rate=1"), HasSubstr("'learning_rate'")));
  EXPECT_THAT(grpo_error(std::string(1000, 'x') + ": 1\n"), HasSubstr("unknown key"));
}

TEST(Recipe, WrongTypeOrRangeNamesKeyValueAndExpectation) {
  EXPECT_EQ(grpo_error("max_steps: many\n"),
            "zero.yaml:3: max_steps is many, expected an integer from 1 to 1000000000");
  EXPECT_THAT(grpo_error("max_steps: \"5\"\n"), HasSubstr("max_steps is \"5\", expected"));
  EXPECT_THAT(grpo_error("max_steps: 5.5\n"), HasSubstr("expected an integer"));
  EXPECT_THAT(grpo_error("max_steps: 99999999999999999999\n"), HasSubstr("expected an integer"));
  EXPECT_THAT(grpo_error("max_steps: [1]\n"), HasSubstr("max_steps is a list"));
  EXPECT_THAT(grpo_error("max_steps:\n"), HasSubstr("max_steps is null"));
  EXPECT_EQ(grpo_error("top_p: 0\n"), "zero.yaml:3: top_p is 0, expected a number > 0 and <= 1");
  EXPECT_THAT(grpo_error("temperature: .nan\n"), HasSubstr("temperature is .nan"));
  EXPECT_THAT(grpo_error("temperature: nan\n"), HasSubstr("temperature is nan"));
  EXPECT_THAT(grpo_error("temperature: inf\n"), HasSubstr("temperature is inf"));
  EXPECT_THAT(grpo_error("dynamic_sampling: yes\n"), HasSubstr("one of true false"));
  EXPECT_THAT(grpo_error("loss_type: gpro\n"), HasSubstr("one of grpo dapo token-mean dr_grpo"));
  EXPECT_THAT(grpo_error("tasks: {gcd: -1}\n"), HasSubstr("tasks is a mapping"));
  EXPECT_THAT(grpo_error("reward_funcs: [beauty]\n"), HasSubstr("accuracy format"));
  EXPECT_THAT(error_of([] { pretrain("stage: pretrain\ndata: 3\n"); }),
              HasSubstr("data is 3, expected a mapping"));
}

TEST(Recipe, OverridesReplaceValues) {
  const PretrainRecipe r =
      pretrain(kPretrain, {"learning_rate=1e-4", "model.q_lora_rank=null", "data.tasks.gcd=7",
                           "data.tasks.list=1", "output_dir=elsewhere"});
  EXPECT_EQ(r.optimizer.learning_rate, 1e-4);
  EXPECT_EQ(r.model.q_lora_rank, std::nullopt);
  EXPECT_EQ(r.run.output_dir, "elsewhere");
  EXPECT_THAT(r.data.tasks, ElementsAre(WeightedName{"gcd", 7}, WeightedName{"countdown", 2.5},
                                        WeightedName{"list", 1}));
  EXPECT_THAT(pretrain(kPretrain, {"data.tasks=[base]"}).data.tasks,
              ElementsAre(WeightedName{"base", 1}));
  ModelRecipe only_path;
  only_path.path = "a/b";
  EXPECT_EQ(pretrain(kPretrain, {"model=a/b"}).model, only_path);
  EXPECT_THAT(error_of([] {
                pretrain(kPretrain, {"model=a/b", "model.hidden_size=3"});
              }),
              HasSubstr("which has its own shape"));
  EXPECT_THAT(grpo_error("", {"beta=-1"}),
              HasSubstr("--set beta=-1: beta is -1, expected a number >= 0"));
  EXPECT_THROW(grpo("", {"beta"}), UsageError);
  EXPECT_THROW(grpo("", {"=1"}), UsageError);
}

TEST(Recipe, BatchSpellingsAgree) {
  const GrpoRecipe r = grpo(
      "num_generations: 8\nsteps_per_generation: 4\nper_device_train_batch_size: 16\n"
      "gradient_accumulation_steps: 2\n");
  EXPECT_EQ(r.prompts_per_step, 16);
  EXPECT_EQ(r.minibatch_completions(), 32);
  EXPECT_EQ(r.updates_per_rollout(), 4);
  EXPECT_THAT(grpo_error("per_device_train_batch_size: 3\n"), HasSubstr("prompts_per_step"));
  EXPECT_THAT(grpo_error("prompts_per_step: 4\nper_device_train_batch_size: 16\n"),
              HasSubstr("does not fit prompts_per_step"));
  EXPECT_THAT(grpo_error("gradient_accumulation_steps: 2\n"), HasSubstr("both or neither"));
  EXPECT_THAT(grpo_error("prompts_per_step: 3\nsteps_per_generation: 5\n"),
              HasSubstr("equal minibatches"));
  EXPECT_EQ(pretrain("stage: pretrain\nper_device_train_batch_size: 8\nmax_length: 512\n")
                .tokens_per_batch,
            4096);
  EXPECT_THAT(error_of([] {
                pretrain(
                    "stage: pretrain\nper_device_train_batch_size: 1000000\n"
                    "gradient_accumulation_steps: 1000000\n");
              }),
              HasSubstr("does not fit tokens_per_batch"));
}

TEST(Recipe, ContradictionsAreErrors) {
  EXPECT_THAT(grpo_error("warmup_steps: 20\nmax_steps: 10\n"), HasSubstr("at most max_steps (10)"));
  EXPECT_THAT(grpo_error("sync_ref_model: true\n"), HasSubstr("beta is 0"));
  EXPECT_THAT(grpo_error("reward_funcs: [accuracy]\nreward_weights: {format: 1}\n"),
              HasSubstr("not in reward_funcs"));
  EXPECT_THAT(error_of([] { parse_recipe("stage: grpo\n", "z"); }), HasSubstr("model is missing"));
  EXPECT_THAT(error_of([] { parse_recipe("model: x\n", "z"); }), HasSubstr("stage is missing"));
  EXPECT_THAT(error_of([] { parse_recipe("stage: sfd\n", "z"); }), HasSubstr("pretrain grpo"));
  EXPECT_THAT(error_of([] { parse_recipe("", "z"); }), HasSubstr("the recipe is null"));
  EXPECT_THAT(error_of([] { load_recipe("/no/such/recipe.yaml"); }), HasSubstr("/no/such/recipe"));
}

TEST(Recipe, NeedlesAndScaledPositions) {
  const std::string text =
      "stage: pretrain\nmodel: runs/short/model\nmax_length: 2000\n"
      "rope_scaling:\n  factor: 40\n  original_max_position_embeddings: 2048\n  mscale: 0.5\n"
      "data:\n  corpus: needle\n  needle: {min_length: 100, max_facts: 7}\n";
  const PretrainRecipe r = pretrain(text);
  EXPECT_EQ(r.data.corpus, CorpusKind::kNeedle);
  EXPECT_EQ(r.data.needle, (tasks::NeedleMixture{.min_length = 100, .max_facts = 7}));
  EXPECT_EQ(
      r.rope_scaling,
      (RopeScalingRecipe{.factor = 40, .original_max_position_embeddings = 2048, .mscale = 0.5}));
  EXPECT_EQ(pretrain(resolved_yaml(r)), r);

  const auto error = [&](const std::string& more) {
    return error_of([&] { pretrain(text, {more}); });
  };
  EXPECT_THAT(error("data.corpus=needles"), HasSubstr("one of problems needle"));
  EXPECT_THAT(error("data.tasks=[gcd]"), HasSubstr("mean nothing for needles"));
  EXPECT_THAT(error("data.completion_only_loss=true"), HasSubstr("mean nothing for needles"));
  EXPECT_THAT(error("data.needle.min_length=3000"), HasSubstr("at most max_length (2000)"));
  EXPECT_THAT(error("data.needle.min_length=10"), HasSubstr("from 32"));
  EXPECT_THAT(error("rope_scaling.factor=0.5"), HasSubstr(">= 1"));
  EXPECT_THAT(error("rope_scaling.beta_slow=50"), HasSubstr("beta_slow is above"));
  EXPECT_THAT(error("rope_scaling.type=yarn"), HasSubstr("unknown key"));
}

TEST(Recipe, RewardWeightsFollowRewardFuncs) {
  EXPECT_THAT(grpo("").reward_weights,
              ElementsAre(WeightedName{"accuracy", 1}, WeightedName{"format", 1}));
  EXPECT_THAT(
      grpo("reward_funcs: [format, accuracy]\nreward_weights: {accuracy: 2}\n").reward_weights,
      ElementsAre(WeightedName{"format", 1}, WeightedName{"accuracy", 2}));
}

TEST(Recipe, ModelConfigJsonUsesHuggingFaceNames) {
  ModelRecipe model;
  model.q_lora_rank = 24;
  model.n_group = 2;
  const auto json = nlohmann::json::parse(model_config_json(model, 512, Precision::kBf16));
  EXPECT_EQ(json["model_type"], "deepseek_v3");
  EXPECT_EQ(json["vocab_size"], 512);
  EXPECT_EQ(json["q_lora_rank"], 24);
  EXPECT_EQ(json["topk_method"], "noaux_tc");
  EXPECT_EQ(json["torch_dtype"], "bfloat16");
  model.q_lora_rank.reset();
  model.scoring_func = ScoringFunc::kSoftmax;
  const auto plain = nlohmann::json::parse(model_config_json(model, 512, Precision::kFp32));
  EXPECT_TRUE(plain["q_lora_rank"].is_null());
  EXPECT_EQ(plain["topk_method"], "group_limited_greedy");
}

TEST(RecipeSchema, NearestNameCountsSwappedLettersOnce) {
  EXPECT_EQ(nearest_name("ebta", {"beta", "seed"}), "beta");
  EXPECT_EQ(nearest_name("model.kv_rank", {"model.kv_lora_rank", "model.q_lora_rank"}),
            "model.kv_lora_rank");
}

}  // namespace
}  // namespace r1::train
