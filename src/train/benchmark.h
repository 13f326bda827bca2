#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/isa.h"
#include "train/benchmark_shape.h"

// How fast whole training steps and sampling are, beside the hardware's limit. On a shared machine
// only ratios of neighbours mean anything: every timed step is followed by bursts of the loop
// that feeds the multiply unit from the first-level cache (gemm_benchmark.h), and the share of the
// peak is the median over steps of a step's rate against its bursts' median.
namespace r1::train {

// Seconds per step that one operation took, named after its source file.
struct OperationTime {
  std::string name;
  double forward = 0, backward = 0;
};

struct BenchmarkResult {
  std::string work;  // "train" or "sample"
  std::string shape;
  Isa isa = Isa::scalar;
  int threads = 0;
  ParameterCount parameters;
  std::int64_t sequences = 0;                     // sampled at once; 0 when training
  std::int64_t tokens_per_step = 0;               // trained on, or drawn
  std::int64_t steps = 0;                         // timed
  double seconds_per_step = 0, best_seconds = 0;  // median, best
  double flop_per_step = 0;                       // as benchmark_work.h counts; mean over steps
  double peak_flops = 0;                          // per second, median
  double share_of_peak = 0;                       // median of the pairs' ratios
  std::vector<OperationTime> operations;          // slowest first

  double tokens_per_second() const {
    return static_cast<double>(tokens_per_step) / seconds_per_step;
  }
  double flops() const { return flop_per_step / seconds_per_step; }
};

struct BenchmarkOptions {
  BenchmarkShape shape;
  int threads = 1;
  double seconds = 10.0;         // timed steps go on for so long
  std::int64_t steps = 0;        // or exactly so many; 0: as time allows, at least 2
  std::int64_t sequences = 256;  // sampled at once
};

// Whole updates: forward, backward, routing bias and optimiser over tokens_per_step tokens, in
// bf16. One update goes before, untimed.
BenchmarkResult benchmark_training(const BenchmarkOptions& options);

// Decoding steps of the engine with all sequences under way, one token each. Sequences come in
// groups of up to 16 that share their prompt, as a rollout's do. Reading the prompts is not timed.
BenchmarkResult benchmark_sampling(const BenchmarkOptions& options);

std::string to_text(const BenchmarkResult& result);
std::string to_json(const BenchmarkResult& result);

}  // namespace r1::train
