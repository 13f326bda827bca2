#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tasks/corpus.h"
#include "tasks/needle.h"

// A training run as a YAML file. Key names follow TRL (GRPOConfig, SFTConfig) and, for the model's
// shape, Hugging Face's DeepSeek-V3 config.json. recipe.cc declares every key once, with its range;
// that one list reads a file, takes `--set` overrides and prints the resolved recipe.
namespace r1::train {

enum class Precision { kBf16, kFp32 };
enum class LrScheduler { kConstant, kLinear, kCosine };
enum class OptimizerKind { kAdamW, kMuon };
// How token losses become one number (DeepSeekMath; DAPO, arXiv:2503.14476; Dr. GRPO, 2503.20783):
//   kGrpo       "grpo": mean over completions of each completion's mean over its tokens
//   kTokenMean  "dapo", alias "token-mean": sum over tokens / tokens of the whole update
//   kDrGrpo     "dr_grpo": sum over tokens / (completions * max_completion_length)
enum class LossType { kGrpo, kTokenMean, kDrGrpo };
// What divides the group-centred reward: the group's std, the whole rollout's std, or nothing.
enum class ScaleRewards { kGroup, kBatch, kNone };
enum class ScoringFunc { kSigmoid, kSoftmax };
// What a base model reads: worked problems (tasks/corpus.h), or facts in long texts
// (tasks/needle.h).
enum class CorpusKind { kProblems, kNeedle };

// A member of a mixture; weights are relative, not normalised.
struct WeightedName {
  std::string name;
  double weight = 1;
  bool operator==(const WeightedName&) const = default;
};

struct OptimizerConfig {
  OptimizerKind optim = OptimizerKind::kAdamW;
  double learning_rate = 1e-3;
  LrScheduler lr_scheduler_type = LrScheduler::kCosine;
  // The schedule ends at min_lr_rate * learning_rate.
  double min_lr_rate = 0.1;
  // Updates over which the rate rises linearly from 0.
  std::int64_t warmup_steps = 0;
  // Global gradient norm above which gradients are scaled down; 0 = no clipping.
  double max_grad_norm = 1.0;
  double weight_decay = 0.1;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.95;
  double adam_epsilon = 1e-8;
  double muon_momentum = 0.95;
  bool operator==(const OptimizerConfig&) const = default;
};

// What every stage shares: length, place and rhythm of the run. A step is one optimiser update.
struct RunConfig {
  std::string output_dir;
  std::int64_t max_steps = 1000;
  std::uint64_t seed = 42;
  std::int64_t threads = 0;  // 0 = all hardware threads
  Precision precision = Precision::kBf16;
  bool gradient_checkpointing = false;  // recompute layers in the backward pass to save memory
  std::int64_t logging_steps = 1;
  std::int64_t save_steps = 100;      // 0 = only at the end
  std::int64_t save_total_limit = 2;  // checkpoints kept besides the best one; 0 = all
  std::int64_t eval_steps = 0;        // 0 = never
  std::int64_t eval_problems = 64;    // held-out problems per evaluation
  bool operator==(const RunConfig&) const = default;
};

// `model:` is either a path to a model directory or the inline shape of a new model.
struct ModelRecipe {
  std::string path;  // empty: start from random weights with the shape below
  std::int64_t hidden_size = 256;
  std::int64_t intermediate_size = 768;
  std::int64_t moe_intermediate_size = 128;
  std::int64_t num_hidden_layers = 4;
  std::int64_t first_k_dense_replace = 1;
  std::int64_t num_attention_heads = 4;
  std::int64_t n_routed_experts = 8;
  std::int64_t n_shared_experts = 1;
  std::int64_t num_experts_per_tok = 2;
  std::int64_t n_group = 1;
  std::int64_t topk_group = 1;
  ScoringFunc scoring_func = ScoringFunc::kSigmoid;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1.0;
  std::optional<std::int64_t> q_lora_rank;  // null: queries are not compressed
  std::int64_t kv_lora_rank = 64;
  std::int64_t qk_nope_head_dim = 32;
  std::int64_t qk_rope_head_dim = 16;
  std::int64_t v_head_dim = 32;
  double rope_theta = 10000;
  double rms_norm_eps = 1e-6;
  std::int64_t max_position_embeddings = 1024;
  std::int64_t num_nextn_predict_layers = 1;  // multi-token-prediction modules
  bool tie_word_embeddings = false;
  double initializer_range = 0.02;
  bool operator==(const ModelRecipe&) const = default;
};

// `rope_scaling:` YaRN, under the names of config.json (DeepSeek-V3 report, section 4.3). The model
// then has factor * original_max_position_embeddings positions.
struct RopeScalingRecipe {
  double factor = 1;  // 1: positions stay as they are
  std::int64_t original_max_position_embeddings = 4096;
  double beta_fast = 32, beta_slow = 1;
  double mscale = 1, mscale_all_dim = 1;
  bool operator==(const RopeScalingRecipe&) const = default;
};

// `data:` the corpus of a base model and the tokenizer trained on it.
struct DataRecipe {
  CorpusKind corpus = CorpusKind::kProblems;
  std::vector<WeightedName> tasks;  // empty: every task with equal weight
  tasks::CorpusMixture mixture;
  tasks::NeedleMixture needle;      // of the needle corpus, which has none of the others' keys
  std::int64_t documents = 200000;  // size of the corpus; one epoch
  std::string prompt_template = "r1-zero-nano";
  bool completion_only_loss = false;  // prompts are read, not learned
  std::uint64_t seed = 1;
  std::int64_t vocab_size = 2048;
  std::int64_t tokenizer_documents = 20000;  // the BPE is trained on the first so many
  bool operator==(const DataRecipe&) const = default;
};

// `stage: pretrain`: next-token and multi-token-prediction loss on generated text.
struct PretrainRecipe {
  ModelRecipe model;  // a path: go on with that model and its tokenizer
  RopeScalingRecipe rope_scaling;
  DataRecipe data;
  OptimizerConfig optimizer;
  RunConfig run;
  std::int64_t tokens_per_batch = 16384;   // tokens of one update
  std::int64_t micro_batch_tokens = 4096;  // most tokens in one forward and backward pass
  std::int64_t max_length = 512;           // longest document; longer ones are cut
  // TRL's spelling of tokens_per_batch: sequences * accumulation * max_length.
  std::optional<std::int64_t> per_device_train_batch_size;
  std::optional<std::int64_t> gradient_accumulation_steps;
  double mtp_loss_weight = 0.3;             // lambda of the DeepSeek-V3 report, eq. 25
  double router_bias_update_speed = 0.001;  // gamma of section 2.1.2
  double seq_balance_alpha = 0.0001;        // alpha of eq. 17

  PretrainRecipe();
  bool operator==(const PretrainRecipe&) const = default;
};

// `stage: grpo`: reinforcement learning from verifiable rewards. One rollout samples
// prompts_per_step * num_generations completions and feeds
// steps_per_generation * num_iterations updates.
struct GrpoRecipe {
  std::string model;
  std::string ref_model;            // empty: the starting model
  std::vector<WeightedName> tasks;  // empty: every task with equal weight
  std::string prompt_template = "r1-zero";
  OptimizerConfig optimizer;
  RunConfig run;

  std::int64_t prompts_per_step = 16;
  std::int64_t num_generations = 16;      // G, completions per prompt
  std::int64_t steps_per_generation = 1;  // minibatches a rollout is cut into, one update each
  std::int64_t num_iterations = 1;        // passes over a rollout
  // TRL's spelling of the completions of one update: their product is
  // prompts_per_step * num_generations / steps_per_generation.
  std::optional<std::int64_t> per_device_train_batch_size;
  std::optional<std::int64_t> gradient_accumulation_steps;
  std::int64_t micro_batch_tokens = 4096;  // most tokens in one forward and backward pass

  LossType loss_type = LossType::kTokenMean;
  ScaleRewards scale_rewards = ScaleRewards::kGroup;
  double beta = 0.0;  // weight of the k3 KL estimate to the reference; 0 = no reference model
  double epsilon = 0.2;
  std::optional<double> epsilon_high;  // null: as epsilon
  bool sync_ref_model = false;
  std::int64_t ref_model_sync_steps = 512;  // updates after which the reference becomes the policy
  bool dynamic_sampling = false;            // refill groups whose rewards are all equal (DAPO)
  bool mask_truncated_completions = false;  // no loss on completions cut off by length
  std::vector<std::string> reward_funcs = {"accuracy", "format"};
  std::vector<WeightedName> reward_weights;  // one per reward_funcs, in that order, once loaded

  double temperature = 1.0;
  double top_p = 1.0;
  std::int64_t top_k = 0;  // 0 = off
  std::int64_t max_completion_length = 256;

  bool log_completions = true;
  std::int64_t log_completions_steps = 10;
  std::int64_t num_completions_to_print = 4;

  GrpoRecipe();
  double upper_epsilon() const { return epsilon_high.value_or(epsilon); }
  // Completions per update.
  std::int64_t minibatch_completions() const {
    return prompts_per_step * num_generations / steps_per_generation;
  }
  std::int64_t updates_per_rollout() const { return steps_per_generation * num_iterations; }
  bool operator==(const GrpoRecipe&) const = default;
};

using Recipe = std::variant<PretrainRecipe, GrpoRecipe>;

const RunConfig& run_config(const Recipe& recipe);

// Reads a recipe; overrides are "a.b=value", the value in YAML. Throws Error naming file, line and
// key for an unknown key (with the nearest known one), a wrong type or range, or keys that
// contradict each other; and for a document that is too large or too deep.
Recipe load_recipe(const std::string& path, const std::vector<std::string>& overrides = {});
Recipe parse_recipe(std::string_view text, std::string_view where,
                    const std::vector<std::string>& overrides = {});

// Every key with its value, in a fixed order; parse_recipe(resolved_yaml(r)) == r.
std::string resolved_yaml(const Recipe& recipe);

// The inline shape as a Hugging Face config.json (model_type deepseek_v3). model.path must be
// empty.
std::string model_config_json(const ModelRecipe& model, std::int64_t vocab_size,
                              Precision precision);

}  // namespace r1::train
