#include "backend/gemm_benchmark.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>

#include "backend/gemm_yardsticks.h"
#include "backend/matmul.h"
#include "base/rng.h"

namespace r1 {
namespace {

constexpr double kBurstSeconds = 0.003;
constexpr std::int64_t kFewRows = 64;
constexpr std::int64_t kBeyondCaches = 128 << 20;  // bytes
constexpr int kLeastRounds = 5, kMostRounds = 101;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

AlignedBuffer<float> random_floats(std::int64_t count, std::uint32_t sample) {
  AlignedBuffer<float> values(static_cast<std::size_t>(count), Fill::none);
  Rng rng(1, 0, sample);
  for (float& value : values) value = rng.uniform() - 0.5f;
  return values;
}

// One side: `run` does `work` (flop, or bytes for the reading loop) and is repeated to fill a
// burst.
struct Side {
  std::string name;
  double work;
  std::function<void()> run;
  int repeats = 1;
  std::vector<double> rates = {};  // work per second of each burst

  void calibrate() {
    run();
    const double once = seconds_of(run);
    repeats = static_cast<int>(std::clamp(kBurstSeconds / std::max(once, 1e-9), 1.0, 1e5));
  }
  double burst() {
    const double seconds = seconds_of([&] {
      for (int i = 0; i < repeats; ++i) run();
    });
    rates.push_back(work * repeats / seconds);
    return seconds;
  }
};

double median_ratio(const Side& a, const Side& b) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < a.rates.size(); ++i) ratios.push_back(a.rates[i] / b.rates[i]);
  return median(ratios);
}

// All operands of one problem, and the sides that use them.
class Contest {
 public:
  Contest(const GemmProblem& problem, const GemmBenchmarkOptions& options)
      : p_(problem),
        backend_(problem.threads, options.isa),
        yardsticks_(gemm_yardsticks(options.isa)),
        x_(random_floats(p_.m * p_.k, 1)),
        dy_(random_floats(p_.m * p_.n, 2)),
        y_(static_cast<std::size_t>(p_.m * p_.n)),
        dx_(static_cast<std::size_t>(p_.m * p_.k)),
        dw_(static_cast<std::size_t>(p_.n * p_.k)),
        l1_(static_cast<std::size_t>(problem.threads * GemmYardsticks::kFloats)) {
    const AlignedBuffer<float> w = random_floats(p_.n * p_.k, 3);
    const auto copies = static_cast<std::size_t>(weight_copies(p_));
    forward_.resize(copies);
    backward_.resize(copies);
    for (PackedMatrix& packed : forward_) {
      pack_transposed(backend_, Precision::bf16, w.data(), p_.k, p_.n, p_.k, packed);
    }
    for (PackedMatrix& packed : backward_) {
      pack(backend_, Precision::bf16, w.data(), p_.k, p_.n, p_.k, packed);
    }
    pack_transposed(backend_, Precision::f32, w.data(), p_.k, p_.n, p_.k, forward_f32_);
    pack_fp8_copies(w, 2 * copies);
    add_sides(options);
  }

  GemmResult run(double seconds_allowed) {
    for (Side& side : sides_) side.calibrate();
    double spent = 0;
    for (int round = 0; round < kLeastRounds || (round < kMostRounds && spent < seconds_allowed);
         ++round) {
      for (Side& side : sides_) spent += side.burst();
    }
    return summary();
  }

 private:
  void pack_fp8_copies(const AlignedBuffer<float>& w, std::size_t copies) {
    constexpr float kScale = 0.5f / 448.0f;
    std::vector<std::byte> codes(w.size());
    std::ranges::transform(w, codes.begin(), [](float value) {
      return static_cast<std::byte>(round_to_f8_e4m3(value / kScale).bits);
    });
    const std::vector<float> scales(
        static_cast<std::size_t>(fp8_blocks_of(p_.n) * fp8_blocks_of(p_.k)), kScale);
    forward_fp8_.resize(copies);
    for (PackedMatrix& packed : forward_fp8_) {
      pack_fp8(backend_, {p_.n, p_.k, codes, scales}, packed);
    }
  }

  void add_sides(const GemmBenchmarkOptions& options) {
    const double flop = 2.0 * static_cast<double>(p_.m * p_.n * p_.k);
    constexpr std::int64_t kPeakRounds = 200;
    sides_.push_back(
        {"peak", 2.0 * static_cast<double>(p_.threads * kPeakRounds * yardsticks_.macs_per_round),
         [this] {
           backend_.parallel_for(p_.threads, [this](std::int64_t thread) {
             yardsticks_.multiply(kPeakRounds, l1_.data() + thread * GemmYardsticks::kFloats);
           });
         }});
    sides_.push_back({"bf16", flop, [this] {
                        const PackedMatrix& w = forward_[next_++ % forward_.size()];
                        matmul(backend_, x_.data(), p_.k, p_.m, w, y_.data(), p_.n, false);
                      }});
    sides_.push_back({"fp8", flop, [this] {
                        const PackedMatrix& w = forward_fp8_[next_++ % forward_fp8_.size()];
                        matmul(backend_, x_.data(), p_.k, p_.m, w, y_.data(), p_.n, false);
                      }});
    for (const GemmPeer& peer : options.peers) {
      sides_.push_back({peer.name, flop, peer.prepare(p_)});
    }
    sides_.push_back({"dx", flop, [this] {
                        const PackedMatrix& w = backward_[next_++ % backward_.size()];
                        matmul(backend_, dy_.data(), p_.n, p_.m, w, dx_.data(), p_.k, false);
                      }});
    sides_.push_back({"dw", flop, [this] {
                        matmul_weight_gradient(backend_, Precision::bf16, dy_.data(), p_.n,
                                               x_.data(), p_.k, p_.m, p_.n, p_.k, dw_.data());
                      }});
    sides_.push_back({"f32", flop, [this] {
                        matmul(backend_, x_.data(), p_.k, p_.m, forward_f32_, y_.data(), p_.n,
                               false);
                      }});
    const std::int64_t bytes = forward_[0].bytes();
    sides_.push_back({"read", static_cast<double>(bytes), [this, bytes] {
                        const auto* memory = reinterpret_cast<const char*>(
                            forward_[next_++ % forward_.size()].panels());
                        constexpr std::int64_t kPiece = 64 << 10;
                        backend_.parallel_for((bytes + kPiece - 1) / kPiece, [&](std::int64_t i) {
                          const std::int64_t size = std::min(kPiece, bytes - i * kPiece);
                          sink_ = yardsticks_.read(memory + i * kPiece, size / 1024 * 1024);
                        });
                      }});
  }

  const Side& side(const std::string& name) const {
    return *std::find_if(sides_.begin(), sides_.end(),
                         [&](const Side& s) { return s.name == name; });
  }

  GemmResult summary() const {
    GemmResult result{p_, {}, {}, 0};
    const Side &peak = side("peak"), &bf16_side = side("bf16"), &read = side("read");
    const Side& fp8 = side("fp8");
    for (const Side& s : sides_) {
      if (&s == &read) continue;
      result.sides.push_back(
          {s.name, median(s.rates) / 1e9, *std::max_element(s.rates.begin(), s.rates.end()) / 1e9});
      if (&s == &peak) continue;
      result.ratios.push_back({s.name + " / peak", median_ratio(s, peak)});
      if (&s == &bf16_side || s.name == "f32") continue;
      const bool ours = s.name == "dx" || s.name == "dw" || &s == &fp8;
      result.ratios.push_back({ours ? s.name + " / bf16" : "bf16 / " + s.name,
                               ours ? median_ratio(s, bf16_side) : median_ratio(bf16_side, s)});
    }
    const auto add_share = [&](const Side& s, const PackedMatrix& weights) {
      const double bytes_per_flop = static_cast<double>(weights.bytes()) / s.work;
      result.ratios.push_back({s.name + " / read", median_ratio(s, read) * bytes_per_flop});
    };
    add_share(bf16_side, forward_[0]);
    add_share(fp8, forward_fp8_[0]);
    result.read_gb_per_second = median(read.rates) / 1e9;
    return result;
  }

  const GemmProblem p_;
  Backend backend_;
  const GemmYardsticks& yardsticks_;
  AlignedBuffer<float> x_, dy_, y_, dx_, dw_, l1_;
  std::vector<PackedMatrix> forward_, forward_fp8_, backward_;
  PackedMatrix forward_f32_;
  std::vector<Side> sides_;
  std::size_t next_ = 0;
  std::atomic<float> sink_{0};  // keeps the reading loop's result alive
};

}  // namespace

std::int64_t weight_copies(const GemmProblem& problem) {
  if (problem.m >= kFewRows) return 1;
  return std::max<std::int64_t>(1, kBeyondCaches / (problem.n * problem.k * 2));
}

std::vector<GemmResult> run_gemm_benchmark(
    const GemmBenchmarkOptions& options, const std::function<void(const GemmResult&)>& on_result) {
  std::vector<GemmResult> results;
  for (const GemmProblem& problem : options.problems) {
    results.push_back(Contest(problem, options).run(options.seconds_per_problem));
    if (on_result) on_result(results.back());
  }
  return results;
}

std::vector<GemmProblem> default_gemm_problems(const std::vector<int>& threads) {
  std::vector<GemmProblem> problems;
  for (const int count : threads) {
    for (std::int64_t m = 1; m <= 4096; m *= 2) problems.push_back({m, 1024, 1024, count});
    for (std::int64_t m = 1; m <= 4096; m *= 4) problems.push_back({m, 5632, 2048, count});
  }
  return problems;
}

std::string gemm_table_header(const GemmResult& first) {
  std::string line = fmt::format("{:>6} {:>6} {:>6} {:>7}", "m", "n", "k", "threads");
  for (const GemmSide& side : first.sides) line += fmt::format(" | {:>13}", side.name + " (best)");
  for (const GemmRatio& ratio : first.ratios) line += fmt::format(" | {}", ratio.name);
  return line + " | read GB/s";
}

std::string gemm_table_row(const GemmResult& result) {
  const GemmProblem& p = result.problem;
  std::string line = fmt::format("{:>6} {:>6} {:>6} {:>7}", p.m, p.n, p.k, p.threads);
  for (const GemmSide& side : result.sides) {
    const std::string best = fmt::format("({:.0f})", side.best_gflops);
    line += fmt::format(" | {:>{}} {:>6}", fmt::format("{:.0f}", side.gflops),
                        std::max<std::size_t>(side.name.size(), 6), best);
  }
  for (const GemmRatio& ratio : result.ratios) {
    line += fmt::format(" | {:>{}.2f}", ratio.median, ratio.name.size());
  }
  return line + fmt::format(" | {:>9.1f}", result.read_gb_per_second);
}

std::string gemm_json(const std::vector<GemmResult>& results) {
  std::string json = "[";
  for (const GemmResult& result : results) {
    const GemmProblem& p = result.problem;
    json += fmt::format("{}\n  {{\"m\": {}, \"n\": {}, \"k\": {}, \"threads\": {}, \"gflops\": {{",
                        json.size() > 1 ? "," : "", p.m, p.n, p.k, p.threads);
    const char* separator = "";
    for (const GemmSide& side : result.sides) {
      json += fmt::format("{}\"{}\": {{\"median\": {:.3f}, \"best\": {:.3f}}}", separator,
                          side.name, side.gflops, side.best_gflops);
      separator = ", ";
    }
    json += "}, \"ratios\": {";
    separator = "";
    for (const GemmRatio& ratio : result.ratios) {
      json += fmt::format("{}\"{}\": {:.4f}", separator, ratio.name, ratio.median);
      separator = ", ";
    }
    json += fmt::format("}}, \"read_gb_per_second\": {:.3f}}}", result.read_gb_per_second);
  }
  return json + "\n]\n";
}

}  // namespace r1
