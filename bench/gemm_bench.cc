// r1_bench_gemm [--json] [--seconds S] [--threads T] [M N K]: the matrix products beside their
// yardsticks.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "backend/gemm_benchmark.h"
#include "base/error.h"
#include "gemm_peers.h"

namespace {

// OpenMP's idle threads would spin through our bursts; the runtime reads this at start only.
void start_again_with_sleeping_peers(char** arguments) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "passive", 1);
  execv("/proc/self/exe", arguments);
}

std::int64_t number(const char* text) {
  char* end = nullptr;
  const std::int64_t value = std::strtoll(text, &end, 10);
  if (end == text || *end != '\0' || value < 1) {
    throw r1::UsageError("r1_bench_gemm", fmt::format("'{}' is no size", text));
  }
  return value;
}

int run(int count, char** arguments) {
  r1::GemmBenchmarkOptions options;
  options.isa = r1::choose_isa();
  options.peers = r1::gemm_peers();
  bool json = false;
  std::vector<int> threads = {1, 2};
  std::vector<std::int64_t> sizes;
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--json") {
      json = true;
    } else if (argument == "--seconds" && i + 1 < count) {
      options.seconds_per_problem = static_cast<double>(number(arguments[++i]));
    } else if (argument == "--threads" && i + 1 < count) {
      threads = {static_cast<int>(number(arguments[++i]))};
    } else {
      sizes.push_back(number(arguments[i]));
    }
  }
  if (sizes.empty()) {
    options.problems = r1::default_gemm_problems(threads);
  } else if (sizes.size() == 3) {
    for (const int t : threads) options.problems.push_back({sizes[0], sizes[1], sizes[2], t});
  } else {
    throw r1::UsageError("r1_bench_gemm", "sizes come as M N K");
  }
  if (!json) fmt::print("GFLOP/s with {}: median (best burst)\n", r1::name_of(options.isa));
  bool first = true;
  const auto results = r1::run_gemm_benchmark(options, [&](const r1::GemmResult& result) {
    if (json) return;
    if (first) fmt::print("{}\n", r1::gemm_table_header(result));
    first = false;
    fmt::print("{}\n", r1::gemm_table_row(result));
    std::fflush(stdout);
  });
  if (json) fmt::print("{}", r1::gemm_json(results));
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  start_again_with_sleeping_peers(arguments);
  try {
    return run(count, arguments);
  } catch (const r1::UsageError& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 2;
  } catch (const r1::Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
