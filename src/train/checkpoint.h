#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "text/tokenizer.h"
#include "train/optimizer.h"

namespace r1::train {

// Where a run stands between two updates, besides its weights and momenta.
struct RunState {
  std::int64_t step = 0;         // updates done
  std::int64_t next_sample = 0;  // documents or problems drawn so far
  std::int64_t tokens = 0;       // tokens trained on so far
  double best_score = 0.0;       // of the best evaluation so far
  std::int64_t best_step = -1;   // -1: none yet
  bool operator==(const RunState&) const = default;
};

// One directory per checkpoint, RUN/checkpoint-STEP: a Hugging Face model directory that anything
// can load (config.json, model.safetensors, tokenizer.json), and what only training needs
// (training.safetensors: fp32 masters and momenta; reference.safetensors: the masters of GRPO's
// reference; trainer_state.json; recipe.yaml). Written under another name and renamed, so that a
// checkpoint is whole or absent, at whatever instant the process dies.
struct Checkpoint {
  Model& model;
  Optimizer& optimizer;
  Model* reference = nullptr;  // null: the run has none
};

// What belongs to a model besides its weights.
struct ModelFiles {
  const text::Tokenizer& tokenizer;
  std::string prompt_template;  // name of the plain-text template it was trained with; empty: none
};

void save_checkpoint(const std::filesystem::path& run, const Checkpoint& checkpoint,
                     const RunState& state, const ModelFiles& files,
                     const std::string& resolved_recipe, std::int64_t keep);

// Removes all but the newest `keep` checkpoints and the best one; 0 keeps all. Saving does so; a
// resumed run does too, as its forerunner may have been killed in between.
void prune_checkpoints(const std::filesystem::path& run, std::int64_t keep, std::int64_t best_step);

// The newest checkpoint of a run directory, if it has any.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& run);

// Throws Error when the checkpoint is of another model or recipe.
RunState load_checkpoint(Backend& backend, const std::filesystem::path& directory,
                         const Checkpoint& checkpoint, const std::string& resolved_recipe);

// A plain model directory: model, tokenizer, generation_config.json.
void save_model(const std::filesystem::path& directory, const Model& model,
                const ModelFiles& files);

}  // namespace r1::train
