#pragma once

#include <filesystem>
#include <optional>

#include "train/recipe.h"

namespace r1::train {

struct RunOptions {
  bool resume = false;  // go on from the newest checkpoint in output_dir
};

// The recipe's threads, or all hardware threads.
int thread_count(const RunConfig& run);

// Where to go on: the newest checkpoint when resuming, none for a new run. Throws Error when a new
// run would overwrite an old one.
std::optional<std::filesystem::path> checkpoint_to_resume(const std::filesystem::path& run,
                                                          const RunOptions& options);

}  // namespace r1::train
