#include "train/benchmark_clock.h"

#include <algorithm>

#include "backend/gemm_yardsticks.h"
#include "base/error.h"

namespace r1::train {
namespace {

constexpr std::int64_t kPeakRounds = 200;  // of one call
constexpr int kPeakCalls = 4;              // per thread and burst
constexpr int kPeakBursts = 5;             // after each step

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// "src/ops/rms_norm.cc" to "rms_norm".
std::string_view stem(std::string_view path) {
  path.remove_prefix(path.find_last_of('/') + 1);
  return path.substr(0, path.find('.'));
}

}  // namespace

void OperationClock::begin(const std::source_location& where, Pass pass) {
  stop();
  const std::string_view name = stem(where.file_name());
  const auto found = std::ranges::find(totals_, name, &OperationTime::name);
  current_ = static_cast<std::size_t>(found - totals_.begin());
  if (found == totals_.end()) totals_.push_back({std::string(name)});
  pass_ = pass;
  began_ = Clock::now();
}

void OperationClock::stop() {
  if (current_ == kNone) return;
  OperationTime& total = totals_[current_];
  (pass_ == Pass::forward ? total.forward : total.backward) +=
      std::chrono::duration<double>(Clock::now() - began_).count();
  current_ = kNone;
}

std::vector<OperationTime> OperationClock::per_step(std::int64_t steps) const {
  std::vector<OperationTime> times = totals_;
  for (OperationTime& time : times) {
    time.forward /= static_cast<double>(steps);
    time.backward /= static_cast<double>(steps);
  }
  std::ranges::stable_sort(times, std::greater<>(),
                           [](const OperationTime& t) { return t.forward + t.backward; });
  return times;
}

StepClock::StepClock(Backend& backend)
    : backend_(backend),
      scratch_(static_cast<std::size_t>(backend.threads() * GemmYardsticks::kFloats)) {
  peak_burst();
}

double StepClock::peak_burst() {
  const GemmYardsticks& yardsticks = gemm_yardsticks(backend_.isa());
  const int threads = backend_.threads();
  const auto start = std::chrono::steady_clock::now();
  backend_.parallel_for(threads, [&](std::int64_t thread) {
    for (int call = 0; call < kPeakCalls; ++call) {
      yardsticks.multiply(kPeakRounds, scratch_.data() + thread * GemmYardsticks::kFloats);
    }
  });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return 2.0 * static_cast<double>(threads * kPeakCalls * kPeakRounds * yardsticks.macs_per_round) /
         seconds.count();
}

void StepClock::time(double flop, const std::function<void()>& step) {
  const auto start = std::chrono::steady_clock::now();
  step();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  seconds_.push_back(seconds.count());
  flop_.push_back(flop);
  std::vector<double> bursts;
  for (int burst = 0; burst < kPeakBursts; ++burst) bursts.push_back(peak_burst());
  // A scheduler that takes the threads away now would make the peak look low and the step good.
  peak_.push_back(median(bursts));
}

double StepClock::total_seconds() const {
  double total = 0;
  for (const double seconds : seconds_) total += seconds;
  return total;
}

void StepClock::summarise(BenchmarkResult& result) const {
  R1_CHECK(!seconds_.empty(), "{} steps", seconds_.size());
  std::vector<double> shares;
  double flop = 0;
  for (std::size_t i = 0; i < seconds_.size(); ++i) {
    shares.push_back(flop_[i] / seconds_[i] / peak_[i]);
    flop += flop_[i];
  }
  result.steps = steps();
  result.seconds_per_step = median(seconds_);
  result.best_seconds = *std::ranges::min_element(seconds_);
  result.flop_per_step = flop / static_cast<double>(steps());
  result.peak_flops = median(peak_);
  result.share_of_peak = median(shares);
}

}  // namespace r1::train
