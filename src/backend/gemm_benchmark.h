#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backend/isa.h"

namespace r1 {

// y [m, n] = x [m, k] W^T and its two backward products, on `threads` threads.
struct GemmProblem {
  std::int64_t m, n, k;
  int threads;
};

// How many copies of the weights each side goes through in turn, so that they come from memory as
// those of a whole model do: many for few rows, where reading them is the work, else one.
std::int64_t weight_copies(const GemmProblem& problem);

// Another library's bf16 product, weights packed in advance: prepare() returns one run of it.
struct GemmPeer {
  std::string name;
  std::function<std::function<void()>(const GemmProblem&)> prepare;
};

struct GemmBenchmarkOptions {
  std::vector<GemmProblem> problems;
  Isa isa = Isa::scalar;
  double seconds_per_problem = 2.0;
  std::vector<GemmPeer> peers;
};

// One side of a comparison: the product of one kind, a peer, or a yardstick.
struct GemmSide {
  std::string name;
  double gflops = 0, best_gflops = 0;  // by the median and by the best burst
};

struct GemmRatio {
  std::string name;   // "bf16 / peak"
  double median = 0;  // of the ratios of neighbouring bursts
};

struct GemmResult {
  GemmProblem problem;
  std::vector<GemmSide> sides;
  std::vector<GemmRatio> ratios;
  double read_gb_per_second = 0;  // the yardstick for few rows, by the median
};

// Alternates short bursts of all sides in one process: on a shared machine only ratios of
// neighbours mean anything (docs/benchmarks.md). Sides: "peak" (the unit that bf16 uses, fed from
// the first-level cache), "bf16", "fp8" (weights that stay FP8), "f32", "dx" and "dw" (both bf16),
// the peers. Ratios: of all to peak, bf16 to each peer, fp8, dx and dw to bf16, and "bf16 / read"
// and "fp8 / read": bytes of weights per second against a loop that only reads them.
std::vector<GemmResult> run_gemm_benchmark(
    const GemmBenchmarkOptions& options,
    const std::function<void(const GemmResult&)>& on_result = {});

// The usual problems: m = 1 ... 4096 by powers of two on 1024 x 1024 and 2048 x 5632.
std::vector<GemmProblem> default_gemm_problems(const std::vector<int>& threads);

// One line per result, aligned under gemm_table_header(); and all as a JSON array.
std::string gemm_table_header(const GemmResult& first);
std::string gemm_table_row(const GemmResult& result);
std::string gemm_json(const std::vector<GemmResult>& results);

}  // namespace r1
