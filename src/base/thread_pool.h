#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace r1 {

// Flushes denormals to zero (inputs and results) on this thread for the scope's lifetime: the AMX
// units always do, so the specification of every kernel does (docs/numerics.md).
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned saved_;
};

// A fixed set of threads that run index ranges together. Which thread runs which index is left
// open, so a body may only write what belongs to its index.
class ThreadPool {
 public:
  // threads counts the calling thread; at least 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(index) for each index in [0, count), denormals flushed; returns when all are done.
  // Bodies must not throw and must not call parallel_for of the same pool. One caller at a time.
  template <typename Body>
  void parallel_for(std::int64_t count, const Body& body) {
    run(count, &body, [](const void* context, std::int64_t index) {
      (*static_cast<const Body*>(context))(index);
    });
  }

 private:
  using Call = void (*)(const void* context, std::int64_t index);
  void run(std::int64_t count, const void* context, Call call);
  void work();
  bool join(std::uint32_t generation);
  void take_indices();

  std::vector<std::thread> workers_;
  std::atomic<std::uint32_t> generation_{0};  // of jobs; workers sleep on it
  std::atomic<bool> stop_{false};
  // Who takes part in the job: generation << 32 | closed bit | workers that joined. A worker that
  // wakes when the job is closed has nothing to do and is not waited for, so a thread that the
  // system did not schedule costs no time.
  std::atomic<std::uint64_t> party_{0};
  std::atomic<std::uint32_t> left_{0};  // joined workers that are done; the caller sleeps on it

  // The job; written before party_ opens, read by those who joined.
  std::int64_t count_ = 0;
  const void* context_ = nullptr;
  Call call_ = nullptr;
  std::atomic<std::int64_t> next_{0};
};

}  // namespace r1
