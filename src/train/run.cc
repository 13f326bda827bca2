#include "train/run.h"

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "train/checkpoint.h"

namespace r1::train {

int thread_count(const RunConfig& run) {
  if (run.threads > 0) return static_cast<int>(run.threads);
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

std::optional<std::filesystem::path> checkpoint_to_resume(const std::filesystem::path& run,
                                                          const RunOptions& options) {
  const std::optional<std::filesystem::path> newest = newest_checkpoint(run);
  if (newest && !options.resume) {
    throw Error(run.string(), "a run is here already",
                "add --resume to go on with it, or choose another output_dir");
  }
  return newest;
}

}  // namespace r1::train
