#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "train/run_directory.h"
#include "train/tensorboard.h"

namespace r1::train {

// One named number, printed as the shortest text that reads back as the same number of its type.
// Names are TRL's: loss, grad_norm, learning_rate, reward, rewards/accuracy/mean,
// completions/mean_length, kl, entropy, clip_ratio/region_mean, num_tokens, ...
struct Metric {
  std::string name;
  std::variant<std::int64_t, float, double> value;

  template <std::integral Integer>
  Metric(std::string n, Integer v) : name(std::move(n)), value(static_cast<std::int64_t>(v)) {}
  Metric(std::string n, float v) : name(std::move(n)), value(v) {}
  Metric(std::string n, double v) : name(std::move(n)), value(v) {}

  double as_double() const;
  // JSON; null for infinities and NaN, which JSON cannot say.
  std::string json() const;
};

// One sampled answer, as logged for the reader's eyes.
struct SampleCompletion {
  std::string prompt;
  std::string completion;
  std::vector<Metric> rewards;  // by reward function, unweighted
  double advantage = 0;
};

// Seconds since 1970.
double wall_clock();

// Writes what a run reports: metrics.jsonl, timing.jsonl, completions.jsonl and TensorBoard events
// in a run directory. Each row is on its way to disk when the call returns.
//
// With everything of a step logged before its checkpoint is saved, and sync() called before the
// checkpoint's commit, a run that is killed and resumed leaves the same metrics.jsonl and
// completions.jsonl, byte for byte, as one that never was.
class MetricsWriter {
 public:
  // last_step: the step of the checkpoint the run resumes from; what was logged after it is
  // dropped. None: a new run, everything logged before in this directory is dropped.
  // Throws Error naming the file, as do the calls below.
  explicit MetricsWriter(const RunDirectory& run, std::optional<std::int64_t> last_step = {},
                         std::function<double()> clock = wall_clock);

  // A row of numbers that depend on the seed alone. Keys keep the order given, after "step".
  void log(std::int64_t step, std::span<const Metric> metrics);
  // A row of numbers that depend on the machine: step_time, tokens_per_second, ...
  void log_timing(std::int64_t step, std::span<const Metric> metrics);
  void log_completions(std::int64_t step, std::span<const SampleCompletion> samples);
  // Waits until all rows are on the disk.
  void sync();

 private:
  void log_to(AppendFile& file, std::int64_t step, std::span<const Metric> metrics);

  std::function<double()> clock_;
  AppendFile metrics_;
  AppendFile timing_;
  AppendFile completions_;
  EventWriter events_;
};

// A table for the terminal: prompt, completion, rewards, advantage; `width` in columns. Control
// characters of the texts are shown as �.
std::string completions_table(std::int64_t step, std::span<const SampleCompletion> samples,
                              std::size_t width);

}  // namespace r1::train
