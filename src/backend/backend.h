#pragma once

#include "backend/gemm_workspace.h"
#include "backend/kernel_table.h"
#include "backend/work_observer.h"
#include "base/thread_pool.h"

namespace r1 {

// The machine as the floors above see it: one instruction set's kernels and the threads to run
// them on. Results depend on neither.
class Backend {
 public:
  explicit Backend(int threads, Isa isa = choose_isa());

  Isa isa() const { return kernels_.isa; }
  int threads() const { return pool_.size(); }
  const KernelTable& kernels() const { return kernels_; }

  // body(index) for each index in [0, count), denormals flushed. Kernels are called only from here.
  template <typename Body>
  void parallel_for(std::int64_t count, const Body& body) {
    pool_.parallel_for(count, body);
  }

  // body(first, last) over [0, count) in ranges of `grain`, so that small rows share a call.
  template <typename Body>
  void parallel_ranges(std::int64_t count, std::int64_t grain, const Body& body) {
    pool_.parallel_for((count + grain - 1) / grain, [&](std::int64_t range) {
      const std::int64_t first = range * grain;
      body(first, first + grain < count ? first + grain : count);
    });
  }

  // Scratch of the matrix products (matmul.h); one caller at a time, as with parallel_for.
  GemmWorkspace& gemm_workspace() { return gemm_workspace_; }

  // Who is told what the work is for; null, as at first: nobody.
  void observe(WorkObserver* observer) { observer_ = observer; }
  WorkObserver* observer() const { return observer_; }
  void begin_work(const std::source_location& where = std::source_location::current()) {
    if (observer_ != nullptr) observer_->begin(where, Pass::forward);
  }

 private:
  const KernelTable& kernels_;
  ThreadPool pool_;
  GemmWorkspace gemm_workspace_;
  WorkObserver* observer_ = nullptr;
};

}  // namespace r1
