#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "backend/gemm_benchmark.h"
#include "cli/bench_model.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/speculation_flags.h"
#include "cli/terminal.h"
#include "eval/speculation_benchmark.h"
#include "train/benchmark.h"

namespace r1::cli {
namespace {

struct Options {
  std::string shape = "nano";
  std::vector<std::int64_t> sizes;
  std::int64_t sequences = 256, steps = 0;
  std::string model;
  SpeculationFlags speculation;
  SamplingFlags sampling;
  double seconds = 10.0;
  int threads = 0;
  bool json = false;
};

void run_gemm(const Options& options) {
  GemmBenchmarkOptions gemm;
  gemm.isa = choose_isa();
  gemm.seconds_per_problem = options.seconds;
  std::vector<int> threads = {1, thread_count(0)};
  if (options.threads > 0 || threads[1] == 1) threads = {thread_count(options.threads)};
  if (options.sizes.empty()) gemm.problems = default_gemm_problems(threads);
  if (!options.sizes.empty()) {
    for (const int count : threads) {
      gemm.problems.push_back({options.sizes[0], options.sizes[1], options.sizes[2], count});
    }
  }
  if (!options.json) fmt::print("GFLOP/s with {}: median (best burst)\n", name_of(gemm.isa));
  bool first = true;
  const std::vector<GemmResult> results = run_gemm_benchmark(gemm, [&](const GemmResult& result) {
    if (options.json) return;
    if (first) show(gemm_table_header(result) + "\n");
    first = false;
    show(gemm_table_row(result) + "\n");
  });
  if (options.json) show(gemm_json(results));
}

train::BenchmarkOptions benchmark_options(const Options& options) {
  train::BenchmarkOptions benchmark;
  benchmark.shape = train::benchmark_shape(options.shape);
  benchmark.threads = thread_count(options.threads);
  benchmark.seconds = options.seconds;
  benchmark.steps = options.steps;
  benchmark.sequences = options.sequences;
  return benchmark;
}

void print(const Options& options, const train::BenchmarkResult& result) {
  show(options.json ? to_json(result) : to_text(result));
}

void run_speculation(const Options& options) {
  if (options.model.empty()) throw UsageError("--speculate", "needs --model MODEL");
  Backend backend(thread_count(options.threads));
  const reasoning::ReasoningModel model = reasoning::load_reasoning_model(backend, options.model);
  const Speculation speculation = load_speculation(backend, options.speculation, model);
  eval::SpeculationBenchmarkOptions benchmark;
  benchmark.speculation = speculation.options;
  benchmark.sampling = model.sampling;
  options.sampling.apply(benchmark.sampling);
  benchmark.sequences = options.sequences;
  benchmark.seconds = options.seconds;
  benchmark.pairs = options.steps;
  const auto result = eval::benchmark_speculation(backend, model, benchmark);
  show(options.json ? to_json(result) : to_text(result));
}

void run_sample(const Options& options) {
  if (options.speculation.given()) {
    run_speculation(options);
  } else if (!options.model.empty()) {
    throw UsageError("--model", "needs --speculate");
  } else {
    print(options, train::benchmark_sampling(benchmark_options(options)));
  }
}

CLI::App& add_benchmark(CLI::App& bench, const char* name, const char* description,
                        Options& options) {
  CLI::App& command = *bench.add_subcommand(name, description);
  add_threads(command, options.threads);
  add_json(command, options.json);
  return command;
}

void add_seconds(CLI::App& command, Options& options, const char* description) {
  command.add_option("--seconds", options.seconds, description)
      ->type_name("S")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
}

// What `train` and `sample` share.
void add_shape(CLI::App& command, Options& options) {
  command.add_option("--shape", options.shape, "Model with random weights: nano or 100m.")
      ->type_name("NAME")
      ->capture_default_str();
  command.add_option("--steps", options.steps, "Steps to time (default: as --seconds allows).")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000000}));
  add_seconds(command, options, "Seconds to time steps for.");
}

}  // namespace

void add_bench(CLI::App& program) {
  CLI::App& bench = *program.add_subcommand("bench", "Measure speed beside the hardware's limits.")
                         ->group(kMeasureGroup);
  bench.require_subcommand(0, 1);
  add_model_bench(bench);

  const auto gemm_options = std::make_shared<Options>();
  gemm_options->seconds = 2.0;
  CLI::App& gemm =
      add_benchmark(bench, "gemm", "Matrix products, forward and backward.", *gemm_options);
  gemm.add_option("SIZES", gemm_options->sizes, "M N K (default: a sweep of M from 1 to 4096).")
      ->expected(3)
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{65536}));
  add_seconds(gemm, *gemm_options, "Seconds for each product.");
  gemm.callback([gemm_options] { run_gemm(*gemm_options); });

  const auto train_options = std::make_shared<Options>();
  CLI::App& train = add_benchmark(bench, "train", "Whole training steps.", *train_options);
  add_shape(train, *train_options);
  train.callback([train_options] {
    print(*train_options, train::benchmark_training(benchmark_options(*train_options)));
  });

  const auto sample_options = std::make_shared<Options>();
  CLI::App& sample =
      add_benchmark(bench, "sample", "Sampling many sequences at once.", *sample_options);
  add_shape(sample, *sample_options);
  sample.add_option("--sequences", sample_options->sequences, "Sequences at once.")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{4096}))
      ->capture_default_str();
  sample
      .add_option("--model", sample_options->model,
                  "With --speculate: the model whose answers to held-out problems are timed, with "
                  "and without speculation by turns; steps are such pairs.")
      ->type_name("MODEL");
  add_speculation(sample, sample_options->speculation);
  add_sampling(sample, sample_options->sampling);
  sample.callback([sample_options] { run_sample(*sample_options); });
}

}  // namespace r1::cli
