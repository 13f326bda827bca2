#include "base/thread_pool.h"

#include <immintrin.h>

#include "base/error.h"

namespace r1 {
namespace {

constexpr unsigned kFlushToZero = 1u << 15;
constexpr unsigned kDenormalsAreZero = 1u << 6;

// Kernels follow one another within microseconds; a thread that slept would miss most of them.
constexpr int kSpinsBeforeSleep = 4000;

// Returns once `value` is no longer `old`: spins first, then sleeps until notified. Yielding
// instead would be a storm of system calls wherever more threads than cores run.
template <typename T>
void wait_while(const std::atomic<T>& value, T old) {
  for (int spins = 0; spins < kSpinsBeforeSleep; ++spins) {
    if (value.load() != old) return;
    _mm_pause();
  }
  value.wait(old);
}

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
  stop_.store(true);
  start();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::start() {
  generation_.fetch_add(1);
  generation_.notify_all();
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
  start();
  take_indices();
  // The last indices may still be running elsewhere; they end within a kernel's time.
  for (int busy = busy_.load(); busy != 0; busy = busy_.load()) wait_while(busy_, busy);
}

void ThreadPool::work() {
  const FlushDenormals flush;
  std::uint32_t seen = 0;
  while (true) {
    wait_while(generation_, seen);
    ++seen;  // the caller waits for all workers, so none misses a generation
    if (stop_.load()) return;
    take_indices();
    if (busy_.fetch_sub(1) == 1) busy_.notify_one();
  }
}

}  // namespace r1
