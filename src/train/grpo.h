#pragma once

#include "train/recipe.h"
#include "train/run.h"

namespace r1::train {

// Reinforcement learning from verifiable rewards alone (DeepSeek-R1, section 2.2; GRPO:
// DeepSeekMath, section 4.1). The engine samples answers with the weights that are being trained;
// their log-probabilities are those of the trainer, bit for bit, which is asserted for the whole of
// the first rollout of a process and for the first update of every later one. Writes metrics,
// sample completions, checkpoints and, at the end, the model into output_dir/model.
//
// Throws Error for a run that exists (unless resumed) or a model that does not fit the recipe.
void run_grpo(const GrpoRecipe& recipe, const RunOptions& options);

}  // namespace r1::train
