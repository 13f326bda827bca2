#pragma once

#include "train/recipe.h"
#include "train/run.h"

namespace r1::train {

// The base model: next-token and multi-token-prediction loss on the generated corpus, from random
// weights. Writes metrics, checkpoints and, at the end, the model into output_dir/model.
//
// The first line on stderr states parameters, memory, tokens and the expected time, all from one
// measured micro-batch. Throws Error for a run that exists (unless resumed) or does not fit.
void run_pretrain(const PretrainRecipe& recipe, const RunOptions& options);

}  // namespace r1::train
