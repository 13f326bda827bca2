#include "base/thread_pool.h"

#include <immintrin.h>

#include "base/error.h"

namespace r1 {
namespace {

constexpr unsigned kFlushToZero = 1u << 15;
constexpr unsigned kDenormalsAreZero = 1u << 6;

// Kernels follow one another within microseconds; a worker that slept would miss most of them.
constexpr int kSpinsBeforeSleep = 4000;

}  // namespace

FlushDenormals::FlushDenormals() : saved_(_mm_getcsr()) {
  _mm_setcsr(saved_ | kFlushToZero | kDenormalsAreZero);
}

FlushDenormals::~FlushDenormals() { _mm_setcsr(saved_); }

ThreadPool::ThreadPool(int threads) {
  R1_CHECK(threads >= 1, "threads {}", threads);
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::take_indices() {
  for (std::int64_t index = next_.fetch_add(1); index < count_; index = next_.fetch_add(1)) {
    call_(context_, index);
  }
}

void ThreadPool::run(std::int64_t count, const void* context, Call call) {
  const FlushDenormals flush;
  if (workers_.empty() || count <= 1) {
    for (std::int64_t index = 0; index < count; ++index) call(context, index);
    return;
  }
  count_ = count;
  context_ = context;
  call_ = call;
  next_.store(0);
  busy_.store(static_cast<int>(workers_.size()));
  {
    std::lock_guard lock(mutex_);
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  take_indices();
  // The last indices may still be running elsewhere; they end within a kernel's time.
  for (int spins = 0; busy_.load() != 0; ++spins) {
    if (spins < kSpinsBeforeSleep) {
      _mm_pause();
    } else {
      std::this_thread::yield();
    }
  }
}

void ThreadPool::work() {
  const FlushDenormals flush;
  std::uint64_t seen = 0;
  while (true) {
    for (int spins = 0; generation_.load() == seen && spins < kSpinsBeforeSleep; ++spins) {
      _mm_pause();
    }
    if (generation_.load() == seen) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return generation_.load() != seen; });
    }
    seen = generation_.load();
    if (stop_) return;
    take_indices();
    busy_.fetch_sub(1);
  }
}

}  // namespace r1
