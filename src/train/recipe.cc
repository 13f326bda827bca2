#include "train/recipe.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/error.h"
#include "base/file.h"
#include "formats/yaml.h"
#include "train/recipe_schema.h"

namespace r1::train {
namespace {

// No single size of a recipe is larger; products of two stay far from overflow.
constexpr std::int64_t kMaxSize = 1 << 20;
constexpr std::int64_t kMaxCount = 1'000'000'000;
constexpr std::int64_t kMaxSteps = 1'000'000'000;

// A fact and its questions take about 20 tokens.
constexpr std::int64_t kLeastNeedleLength = 32;

const std::vector<std::string> kRewards = {"accuracy", "format"};

void declare(Schema& s, OptimizerConfig& c) {
  s.choice<OptimizerKind>("optim", c.optim,
                          {{"adamw", OptimizerKind::kAdamW}, {"muon", OptimizerKind::kMuon}});
  s.real("learning_rate", c.learning_rate, {.low = 0, .high = 1});
  s.choice<LrScheduler>("lr_scheduler_type", c.lr_scheduler_type,
                        {{"constant", LrScheduler::kConstant},
                         {"constant_with_warmup", LrScheduler::kConstant},
                         {"linear", LrScheduler::kLinear},
                         {"cosine", LrScheduler::kCosine},
                         {"cosine_with_min_lr", LrScheduler::kCosine}});
  s.real("min_lr_rate", c.min_lr_rate, kUnit);
  s.integer("warmup_steps", c.warmup_steps, 0, kMaxSteps);
  s.real("max_grad_norm", c.max_grad_norm, kNotNegative);
  s.real("weight_decay", c.weight_decay, kNotNegative);
  s.real("adam_beta1", c.adam_beta1, kUnitOpen);
  s.real("adam_beta2", c.adam_beta2, kUnitOpen);
  s.real("adam_epsilon", c.adam_epsilon, kPositive);
  s.real("muon_momentum", c.muon_momentum, kUnitOpen);
}

void declare(Schema& s, RunConfig& c) {
  s.text("output_dir", c.output_dir);
  s.integer("max_steps", c.max_steps, 1, kMaxSteps);
  s.seed("seed", c.seed);
  s.integer("threads", c.threads, 0, 1024);
  s.choice<Precision>("precision", c.precision,
                      {{"bf16", Precision::kBf16}, {"fp32", Precision::kFp32}});
  s.flag("gradient_checkpointing", c.gradient_checkpointing);
  s.integer("logging_steps", c.logging_steps, 1, kMaxSteps);
  s.integer("save_steps", c.save_steps, 0, kMaxSteps);
  s.integer("save_total_limit", c.save_total_limit, 0, kMaxCount);
  s.integer("eval_steps", c.eval_steps, 0, kMaxSteps);
  s.integer("eval_problems", c.eval_problems, 1, kMaxCount);
}

void declare(Schema& s, ModelRecipe& c) {
  s.text("model", c.path);
  s.integer("model.hidden_size", c.hidden_size, 1, kMaxSize);
  s.integer("model.intermediate_size", c.intermediate_size, 1, kMaxSize);
  s.integer("model.moe_intermediate_size", c.moe_intermediate_size, 1, kMaxSize);
  s.integer("model.num_hidden_layers", c.num_hidden_layers, 1, 1024);
  s.integer("model.first_k_dense_replace", c.first_k_dense_replace, 0, 1024);
  s.integer("model.num_attention_heads", c.num_attention_heads, 1, 1024);
  s.integer("model.n_routed_experts", c.n_routed_experts, 1, 4096);
  s.integer("model.n_shared_experts", c.n_shared_experts, 0, 64);
  s.integer("model.num_experts_per_tok", c.num_experts_per_tok, 1, 4096);
  s.integer("model.n_group", c.n_group, 1, 4096);
  s.integer("model.topk_group", c.topk_group, 1, 4096);
  s.choice<ScoringFunc>("model.scoring_func", c.scoring_func,
                        {{"sigmoid", ScoringFunc::kSigmoid}, {"softmax", ScoringFunc::kSoftmax}});
  s.flag("model.norm_topk_prob", c.norm_topk_prob);
  s.real("model.routed_scaling_factor", c.routed_scaling_factor, kPositive);
  s.integer("model.q_lora_rank", c.q_lora_rank, 1, kMaxSize);
  s.integer("model.kv_lora_rank", c.kv_lora_rank, 1, kMaxSize);
  s.integer("model.qk_nope_head_dim", c.qk_nope_head_dim, 1, kMaxSize);
  s.integer("model.qk_rope_head_dim", c.qk_rope_head_dim, 2, kMaxSize);
  s.integer("model.v_head_dim", c.v_head_dim, 1, kMaxSize);
  s.real("model.rope_theta", c.rope_theta, kPositive);
  s.real("model.rms_norm_eps", c.rms_norm_eps, kPositive);
  s.integer("model.max_position_embeddings", c.max_position_embeddings, 1, 1 << 24);
  s.integer("model.num_nextn_predict_layers", c.num_nextn_predict_layers, 0, 16);
  s.flag("model.tie_word_embeddings", c.tie_word_embeddings);
  s.real("model.initializer_range", c.initializer_range, kPositive);
}

void declare(Schema& s, RopeScalingRecipe& c) {
  s.real("rope_scaling.factor", c.factor, {.low = 1, .high = 4096});
  s.integer("rope_scaling.original_max_position_embeddings", c.original_max_position_embeddings, 1,
            1 << 24);
  s.real("rope_scaling.beta_fast", c.beta_fast, kPositive);
  s.real("rope_scaling.beta_slow", c.beta_slow, kPositive);
  s.real("rope_scaling.mscale", c.mscale, kNotNegative);
  s.real("rope_scaling.mscale_all_dim", c.mscale_all_dim, kNotNegative);
}

void declare(Schema& s, DataRecipe& c) {
  s.choice<CorpusKind>("data.corpus", c.corpus,
                       {{"problems", CorpusKind::kProblems}, {"needle", CorpusKind::kNeedle}});
  s.weights("data.tasks", c.tasks);
  s.real("data.mixture.drills", c.mixture.drills, kUnit);
  s.real("data.mixture.malformed", c.mixture.malformed, kUnit);
  s.real("data.mixture.guess", c.mixture.guess, kUnit);
  s.real("data.mixture.short_steps", c.mixture.short_steps, kUnit);
  s.real("data.mixture.careful", c.mixture.careful, kUnit);
  s.real("data.mixture.careful_check", c.mixture.careful_check, kUnit);
  s.real("data.mixture.mixed", c.mixture.mixed, kUnit);
  s.integer("data.needle.min_length", c.needle.min_length, kLeastNeedleLength, kMaxSize);
  s.integer("data.needle.max_facts", c.needle.max_facts, 1, tasks::kMostFacts);
  s.integer("data.documents", c.documents, 1, kMaxCount);
  s.text("data.prompt_template", c.prompt_template);
  s.flag("data.completion_only_loss", c.completion_only_loss);
  s.seed("data.seed", c.seed);
  s.integer("data.vocab_size", c.vocab_size, 257, kMaxSize);
  s.integer("data.tokenizer_documents", c.tokenizer_documents, 1, kMaxCount);
}

void declare(Schema& s, PretrainRecipe& r) {
  declare(s, r.run);
  declare(s, r.model);
  declare(s, r.rope_scaling);
  declare(s, r.data);
  declare(s, r.optimizer);
  s.integer("tokens_per_batch", r.tokens_per_batch, 1, kMaxCount);
  s.integer("micro_batch_tokens", r.micro_batch_tokens, 1, kMaxCount);
  s.integer("max_length", r.max_length, 2, kMaxSize);
  s.integer("per_device_train_batch_size", r.per_device_train_batch_size, 1, kMaxSize);
  s.integer("gradient_accumulation_steps", r.gradient_accumulation_steps, 1, kMaxSize);
  s.real("mtp_loss_weight", r.mtp_loss_weight, kNotNegative);
  s.real("router_bias_update_speed", r.router_bias_update_speed, kNotNegative);
  s.real("seq_balance_alpha", r.seq_balance_alpha, kNotNegative);
}

void declare(Schema& s, GrpoRecipe& r) {
  declare(s, r.run);
  s.text("model", r.model);
  s.text("ref_model", r.ref_model);
  s.weights("tasks", r.tasks);
  s.text("prompt_template", r.prompt_template);
  declare(s, r.optimizer);
  s.integer("prompts_per_step", r.prompts_per_step, 1, kMaxCount);
  s.integer("num_generations", r.num_generations, 2, kMaxSize);
  s.integer("steps_per_generation", r.steps_per_generation, 1, kMaxSize);
  s.integer("num_iterations", r.num_iterations, 1, kMaxSize);
  s.integer("per_device_train_batch_size", r.per_device_train_batch_size, 1, kMaxSize);
  s.integer("gradient_accumulation_steps", r.gradient_accumulation_steps, 1, kMaxSize);
  s.integer("micro_batch_tokens", r.micro_batch_tokens, 1, kMaxCount);
  s.choice<LossType>("loss_type", r.loss_type,
                     {{"grpo", LossType::kGrpo},
                      {"dapo", LossType::kTokenMean},
                      {"token-mean", LossType::kTokenMean},
                      {"dr_grpo", LossType::kDrGrpo}});
  s.choice<ScaleRewards>("scale_rewards", r.scale_rewards,
                         {{"group", ScaleRewards::kGroup},
                          {"true", ScaleRewards::kGroup},
                          {"batch", ScaleRewards::kBatch},
                          {"none", ScaleRewards::kNone},
                          {"false", ScaleRewards::kNone}});
  s.real("beta", r.beta, kNotNegative);
  s.real("epsilon", r.epsilon, kPositive);
  s.real("epsilon_high", r.epsilon_high, kPositive);
  s.flag("sync_ref_model", r.sync_ref_model);
  s.integer("ref_model_sync_steps", r.ref_model_sync_steps, 1, kMaxSteps);
  s.flag("dynamic_sampling", r.dynamic_sampling);
  s.flag("mask_truncated_completions", r.mask_truncated_completions);
  s.names("reward_funcs", r.reward_funcs, kRewards);
  s.weights("reward_weights", r.reward_weights);
  s.real("temperature", r.temperature, kPositive);
  s.real("top_p", r.top_p, kFraction);
  s.integer("top_k", r.top_k, 0, kMaxSize);
  s.integer("max_completion_length", r.max_completion_length, 1, 1 << 24);
  s.flag("log_completions", r.log_completions);
  s.integer("log_completions_steps", r.log_completions_steps, 1, kMaxSteps);
  s.integer("num_completions_to_print", r.num_completions_to_print, 1, 1000);
}

// What one update holds has our name (`key`) and TRL's two factors, tied by
//   target * divisor = per_device * accumulation * factor.
// Where TRL's factors are given they define the target, or must agree with it.
void agree_on_batch(const Schema& s, std::string_view where, std::string_view key,
                    std::int64_t& target, std::optional<std::int64_t> per_device,
                    std::optional<std::int64_t> accumulation, std::int64_t factor,
                    std::int64_t divisor, std::string_view rule) {
  if (!per_device) {
    if (accumulation) {
      throw Error(where, "gradient_accumulation_steps is given without per_device_train_batch_size",
                  fmt::format("give both or neither; {}", rule));
    }
    return;
  }
  // Each factor is at most 2^20, so the product fits.
  const std::int64_t product = *per_device * accumulation.value_or(1) * factor;
  const std::int64_t derived = product / divisor;
  if (product % divisor != 0 || derived < 1 || derived > kMaxCount ||
      (s.given(key) && target != derived)) {
    throw Error(where, fmt::format("per_device_train_batch_size does not fit {}", key), rule);
  }
  target = derived;
}

void check_order(std::string_view where, std::string_view small_key, std::int64_t small,
                 std::string_view large_key, std::int64_t large) {
  if (small > large) {
    throw Error(where, fmt::format("{} is {}, expected at most {} ({})", small_key, small,
                                   large_key, large));
  }
}

void finish(const RunConfig& run, const OptimizerConfig& optimizer, std::string_view where) {
  check_order(where, "warmup_steps", optimizer.warmup_steps, "max_steps", run.max_steps);
  if (run.output_dir.empty()) {
    throw Error(where, "output_dir is empty", "say where the run is to be written");
  }
}

void finish(PretrainRecipe& r, const Schema& s, std::string_view where) {
  finish(r.run, r.optimizer, where);
  // A path replaces the shape as a whole.
  if (!r.model.path.empty()) {
    ModelRecipe only_path;
    only_path.path = r.model.path;
    r.model = only_path;
  }
  agree_on_batch(s, where, "tokens_per_batch", r.tokens_per_batch, r.per_device_train_batch_size,
                 r.gradient_accumulation_steps, r.max_length, 1,
                 "tokens_per_batch = per_device_train_batch_size * gradient_accumulation_steps * "
                 "max_length");
  check_order(where, "micro_batch_tokens", r.micro_batch_tokens, "tokens_per_batch",
              r.tokens_per_batch);
  check_order(where, "max_length", r.max_length, "micro_batch_tokens", r.micro_batch_tokens);
  if (r.model.path.empty()) {
    check_order(where, "max_length", r.max_length, "model.max_position_embeddings",
                r.model.max_position_embeddings);
  }
  if (r.data.corpus == CorpusKind::kNeedle) {
    check_order(where, "data.needle.min_length", r.data.needle.min_length, "max_length",
                r.max_length);
    if (!r.data.tasks.empty() || r.data.completion_only_loss) {
      throw Error(where, "data.tasks and data.completion_only_loss mean nothing for needles",
                  "leave them out; the answers are learned and nothing else");
    }
  }
  if (r.rope_scaling.beta_slow > r.rope_scaling.beta_fast) {
    throw Error(where, "rope_scaling.beta_slow is above rope_scaling.beta_fast");
  }
}

void finish(GrpoRecipe& r, const Schema& s, std::string_view where) {
  finish(r.run, r.optimizer, where);
  if (r.model.empty()) {
    throw Error(where, "model is missing", "give the directory of the model to train");
  }
  agree_on_batch(s, where, "prompts_per_step", r.prompts_per_step, r.per_device_train_batch_size,
                 r.gradient_accumulation_steps, r.steps_per_generation, r.num_generations,
                 "prompts_per_step * num_generations = per_device_train_batch_size * "
                 "gradient_accumulation_steps * steps_per_generation");
  const std::int64_t completions = r.prompts_per_step * r.num_generations;
  if (completions % r.steps_per_generation != 0) {
    throw Error(where,
                fmt::format("{} completions cannot be cut into {} equal minibatches", completions,
                            r.steps_per_generation),
                "make prompts_per_step * num_generations a multiple of steps_per_generation");
  }
  check_order(where, "max_completion_length", r.max_completion_length, "micro_batch_tokens",
              r.micro_batch_tokens);
  if (r.sync_ref_model && r.beta == 0) {
    throw Error(where, "sync_ref_model is true but beta is 0, so there is no reference model",
                "set beta > 0 or leave sync_ref_model out");
  }

  std::vector<WeightedName> weights;
  for (const std::string& name : r.reward_funcs) weights.push_back({name, 1});
  for (const auto& [name, weight] : r.reward_weights) {
    const auto entry = std::ranges::find(weights, name, &WeightedName::name);
    if (entry == weights.end()) {
      throw Error(where, fmt::format("reward_weights names '{}', which is not in reward_funcs ({})",
                                     name, fmt::join(r.reward_funcs, ", ")));
    }
    entry->weight = weight;
  }
  r.reward_weights = std::move(weights);
}

struct Override {
  std::string key;
  YamlNode value;
  std::string where;  // for errors: --set key=value
};

Override parse_override(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    throw UsageError("--set", fmt::format("'{}' is not key=value", text),
                     "for example --set learning_rate=1e-4");
  }
  Override result{text.substr(0, equals), {}, "--set " + text};
  result.value = parse_yaml(text.substr(equals + 1), result.where);
  result.value.line = 0;
  return result;
}

template <typename R>
R read(const YamlNode& document, std::string_view where, const std::vector<Override>& overrides) {
  R recipe;
  Schema schema;
  declare(schema, recipe);
  schema.assign("", document, where);
  for (const Override& o : overrides) {
    if constexpr (std::is_same_v<R, PretrainRecipe>) {
      if (o.key.starts_with("model.") && !recipe.model.path.empty()) {
        throw Error(o.where, fmt::format("model is the directory '{}', which has its own shape",
                                         recipe.model.path));
      }
      if (o.key == "model" && o.value.kind == YamlNode::Kind::kMap) recipe.model.path.clear();
    }
    schema.assign(o.key, o.value, o.where);
  }
  finish(recipe, schema, where);
  return recipe;
}

template <typename R>
std::string print(R recipe, std::string_view stage,
                  const std::function<bool(std::string_view)>& skip) {
  Schema schema;
  declare(schema, recipe);
  return fmt::format("stage: {}\n{}", stage, schema.print(skip));
}

}  // namespace

GrpoRecipe::GrpoRecipe() {
  // TRL's defaults where they differ from pre-training's.
  optimizer.learning_rate = 1e-6;
  optimizer.lr_scheduler_type = LrScheduler::kConstant;
  optimizer.weight_decay = 0;
  run.output_dir = "runs/grpo";
}

PretrainRecipe::PretrainRecipe() { run.output_dir = "runs/pretrain"; }

const RunConfig& run_config(const Recipe& recipe) {
  return std::visit([](const auto& r) -> const RunConfig& { return r.run; }, recipe);
}

Recipe parse_recipe(std::string_view text, std::string_view where,
                    const std::vector<std::string>& overrides) {
  YamlNode document = parse_yaml(text, where);
  if (document.kind != YamlNode::Kind::kMap) {
    throw Error(where, fmt::format("the recipe is {}, expected a mapping", document.describe()));
  }
  std::vector<Override> parsed;
  for (const std::string& text_of_one : overrides) parsed.push_back(parse_override(text_of_one));

  const auto key = std::ranges::find(document.keys, "stage");
  if (key == document.keys.end()) {
    throw Error(where, "stage is missing", "write stage: pretrain or stage: grpo");
  }
  const auto at = key - document.keys.begin();
  const YamlNode stage = document.children[static_cast<std::size_t>(at)];
  document.keys.erase(key);
  document.children.erase(document.children.begin() + at);
  if (stage.text == "pretrain") return read<PretrainRecipe>(document, where, parsed);
  if (stage.text == "grpo") return read<GrpoRecipe>(document, where, parsed);
  throw Error(fmt::format("{}:{}", where, stage.line),
              fmt::format("stage is {}, expected one of pretrain grpo", stage.describe()));
}

Recipe load_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  return parse_recipe(read_text_file(path, kMaxYamlBytes), path, overrides);
}

std::string resolved_yaml(const Recipe& recipe) {
  if (const auto* grpo = std::get_if<GrpoRecipe>(&recipe)) {
    return print(*grpo, "grpo", [](std::string_view) { return false; });
  }
  const auto& pretrain = std::get<PretrainRecipe>(recipe);
  const bool inline_shape = pretrain.model.path.empty();
  return print(pretrain, "pretrain", [inline_shape](std::string_view path) {
    return inline_shape ? path == "model" : path.starts_with("model.");
  });
}

std::string model_config_json(const ModelRecipe& model, std::int64_t vocab_size,
                              Precision precision) {
  R1_CHECK(model.path.empty(), "the shape of '{}' is in its own config.json", model.path);
  const bool sigmoid = model.scoring_func == ScoringFunc::kSigmoid;
  nlohmann::ordered_json json = {
      {"architectures", {"DeepseekV3ForCausalLM"}},
      {"model_type", "deepseek_v3"},
      {"vocab_size", vocab_size},
      {"hidden_size", model.hidden_size},
      {"intermediate_size", model.intermediate_size},
      {"moe_intermediate_size", model.moe_intermediate_size},
      {"num_hidden_layers", model.num_hidden_layers},
      {"first_k_dense_replace", model.first_k_dense_replace},
      {"moe_layer_freq", 1},
      {"num_attention_heads", model.num_attention_heads},
      {"num_key_value_heads", model.num_attention_heads},
      {"n_routed_experts", model.n_routed_experts},
      {"n_shared_experts", model.n_shared_experts},
      {"num_experts_per_tok", model.num_experts_per_tok},
      {"n_group", model.n_group},
      {"topk_group", model.topk_group},
      {"scoring_func", sigmoid ? "sigmoid" : "softmax"},
      // The selection bias and the top-2 group score belong to sigmoid scoring.
      {"topk_method", sigmoid             ? "noaux_tc"
                      : model.n_group > 1 ? "group_limited_greedy"
                                          : "greedy"},
      {"norm_topk_prob", model.norm_topk_prob},
      {"routed_scaling_factor", model.routed_scaling_factor},
      {"q_lora_rank", nullptr},
      {"kv_lora_rank", model.kv_lora_rank},
      {"qk_nope_head_dim", model.qk_nope_head_dim},
      {"qk_rope_head_dim", model.qk_rope_head_dim},
      {"v_head_dim", model.v_head_dim},
      {"rope_theta", model.rope_theta},
      {"rope_scaling", nullptr},
      {"rms_norm_eps", model.rms_norm_eps},
      {"hidden_act", "silu"},
      {"max_position_embeddings", model.max_position_embeddings},
      {"attention_bias", false},
      {"num_nextn_predict_layers", model.num_nextn_predict_layers},
      {"tie_word_embeddings", model.tie_word_embeddings},
      {"initializer_range", model.initializer_range},
      {"torch_dtype", precision == Precision::kBf16 ? "bfloat16" : "float32"},
  };
  if (model.q_lora_rank) json["q_lora_rank"] = *model.q_lora_rank;
  return json.dump(2) + "\n";
}

}  // namespace r1::train
