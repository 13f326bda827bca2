#include "base/thread_pool.h"

#include <immintrin.h>

#include "base/error.h"

namespace r1 {
namespace {

constexpr unsigned kFlushToZero = 1u << 15;
constexpr unsigned kDenormalsAreZero = 1u << 6;

constexpr std::uint64_t kClosed = std::uint64_t{1} << 31;
constexpr std::uint64_t kJoinedMask = kClosed - 1;

// Kernels follow one another within microseconds; a thread that slept would miss most of them.
constexpr int kSpinsBeforeSleep = 4000;

// Returns once `value` is no longer `old`: spins first, then sleeps until notified.
void wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
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
  generation_.fetch_add(1);
  generation_.notify_all();
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
  left_.store(0);
  const std::uint32_t generation = generation_.load() + 1;
  party_.store(std::uint64_t{generation} << 32);
  generation_.store(generation);
  generation_.notify_all();
  take_indices();
  const std::uint64_t joined = party_.fetch_or(kClosed) & kJoinedMask;
  // The last indices may still be running elsewhere; they end within a kernel's time.
  for (std::uint32_t left = left_.load(); left != joined; left = left_.load()) {
    wait_while(left_, left);
  }
}

bool ThreadPool::join(std::uint32_t generation) {
  std::uint64_t party = party_.load();
  do {
    if (party >> 32 != generation || (party & kClosed) != 0) return false;
  } while (!party_.compare_exchange_weak(party, party + 1));
  return true;
}

void ThreadPool::work() {
  const FlushDenormals flush;
  std::uint32_t seen = 0;
  while (true) {
    wait_while(generation_, seen);
    seen = generation_.load();
    if (stop_.load()) return;
    if (!join(seen)) continue;
    take_indices();
    left_.fetch_add(1);
    left_.notify_one();
  }
}

}  // namespace r1
