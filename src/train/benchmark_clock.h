#pragma once

#include <chrono>
#include <functional>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "train/benchmark.h"

namespace r1::train {

// Adds up time by operation: what began last gets the time until something else begins.
class OperationClock : public WorkObserver {
 public:
  void begin(const std::source_location& where, Pass pass) override;
  // From here on time belongs to nobody.
  void stop();
  // The totals divided by `steps`, slowest first.
  std::vector<OperationTime> per_step(std::int64_t steps) const;

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  std::vector<OperationTime> totals_;
  std::size_t current_ = kNone;
  Pass pass_ = Pass::forward;
  Clock::time_point began_;
};

// Times steps and, right after each, the multiply unit.
class StepClock {
 public:
  explicit StepClock(Backend& backend);

  // Runs a step that does `flop` operations.
  void time(double flop, const std::function<void()>& step);
  std::int64_t steps() const { return static_cast<std::int64_t>(seconds_.size()); }
  // Of the steps alone.
  double total_seconds() const;
  // Fills in the fields that follow from the times.
  void summarise(BenchmarkResult& result) const;

 private:
  double peak_burst();

  Backend& backend_;
  AlignedBuffer<float> scratch_;
  std::vector<double> seconds_, flop_, peak_;
};

}  // namespace r1::train
