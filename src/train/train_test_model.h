#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/error.h"
#include "train/data.h"

// For tests only: a run's tokenizer, model shape and directory at the smallest useful size.
namespace r1::train_test {

// A directory that goes with its owner.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "r1_train_XXXXXX").native();
    R1_CHECK(::mkdtemp(pattern.data()) != nullptr, "{}", pattern);
    path_ = pattern;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  R1_CHECK(file.good(), "{}", path.native());
  return {std::istreambuf_iterator<char>(file), {}};
}

// A base model that learns next to nothing, in a second.
inline std::string pretrain_recipe(const std::filesystem::path& output) {
  return fmt::format(R"(
stage: pretrain
output_dir: {}
seed: 5
threads: 2
model:
  hidden_size: 32
  intermediate_size: 64
  moe_intermediate_size: 16
  num_hidden_layers: 2
  first_k_dense_replace: 1
  num_attention_heads: 2
  n_routed_experts: 4
  num_experts_per_tok: 2
  kv_lora_rank: 16
  qk_nope_head_dim: 8
  qk_rope_head_dim: 8
  v_head_dim: 8
  max_position_embeddings: 384
  num_nextn_predict_layers: 1
data:
  tasks: {{arithmetic: 2, gcd: 1}}
  documents: 300
  vocab_size: 320
  tokenizer_documents: 100
  prompt_template: r1-zero-nano
max_length: 96
tokens_per_batch: 512
micro_batch_tokens: 256
max_steps: 12
learning_rate: 0.003
warmup_steps: 3
save_steps: 2
save_total_limit: 2
)",
                     output.native());
}

// Reinforcement of `model`, with a reference of its own so that there is something to learn even
// where no answer is right. Two updates per rollout, a checkpoint after each rollout.
inline std::string grpo_recipe(const std::filesystem::path& output,
                               const std::filesystem::path& model,
                               const std::filesystem::path& reference) {
  return fmt::format(R"(
stage: grpo
output_dir: {}
model: {}
ref_model: {}
seed: 6
threads: 2
tasks: {{arithmetic: 2, gcd: 1}}
prompt_template: r1-zero-nano
prompts_per_step: 4
num_generations: 4
steps_per_generation: 2
micro_batch_tokens: 512
max_completion_length: 12
beta: 0.1
sync_ref_model: true
ref_model_sync_steps: 5
max_steps: 12
learning_rate: 0.003
save_steps: 2
save_total_limit: 2
eval_steps: 4
eval_problems: 4
log_completions_steps: 2
num_completions_to_print: 2
)",
                     output.native(), model.native(), reference.native());
}

}  // namespace r1::train_test
