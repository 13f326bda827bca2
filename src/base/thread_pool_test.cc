#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <thread>
#include <vector>

namespace r1 {
namespace {

constexpr float kSmallestNormal = std::numeric_limits<float>::min();

float half_of(float value) {
  volatile float x = value;
  return x * 0.5f;
}

class ThreadPoolTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolTest, testing::Values(1, 2, 3));

TEST_P(ThreadPoolTest, CountsTheCaller) { EXPECT_EQ(ThreadPool(GetParam()).size(), GetParam()); }

TEST_P(ThreadPoolTest, RunsEveryIndexOnce) {
  ThreadPool pool(GetParam());
  for (std::int64_t count : {0, 1, 2, 3, 7, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count) + 1);
    pool.parallel_for(count, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
    for (std::int64_t i = 0; i < count; ++i) EXPECT_EQ(runs[static_cast<std::size_t>(i)], 1) << i;
    EXPECT_EQ(runs.back(), 0);
  }
}

// Plain writes: the pool itself must order them before the caller reads, and before the next job.
TEST_P(ThreadPoolTest, JobsFollowOneAnother) {
  ThreadPool pool(GetParam());
  std::vector<std::int64_t> values(37);
  for (int round = 0; round < 500; ++round) {
    pool.parallel_for(37,
                      [&](std::int64_t i) { values[static_cast<std::size_t>(i)] += i + round; });
    pool.parallel_for(37, [&](std::int64_t i) { values[static_cast<std::size_t>(36 - i)] += 1; });
  }
  for (std::int64_t i = 0; i < 37; ++i) {
    EXPECT_EQ(values[static_cast<std::size_t>(i)], 500 * i + 499 * 500 / 2 + 500);
  }
}

TEST_P(ThreadPoolTest, WakesSleepingWorkers) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> runs{0};
    pool.parallel_for(100, [&](std::int64_t) { ++runs; });
    EXPECT_EQ(runs, 100);
  }
}

TEST_P(ThreadPoolTest, StopsWithoutEverHavingRun) { ThreadPool pool(GetParam()); }

// Each index waits until all have begun, so every thread runs one.
TEST_P(ThreadPoolTest, FlushesDenormalsOnEveryThread) {
  ThreadPool pool(GetParam());
  const int threads = GetParam();
  std::atomic<int> begun{0};
  std::vector<float> results(static_cast<std::size_t>(threads), -1.0f);
  std::vector<float> inputs(static_cast<std::size_t>(threads), -1.0f);
  pool.parallel_for(threads, [&](std::int64_t i) {
    ++begun;
    while (begun < threads) std::this_thread::yield();
    results[static_cast<std::size_t>(i)] = half_of(kSmallestNormal);
    volatile float denormal = std::numeric_limits<float>::denorm_min();
    inputs[static_cast<std::size_t>(i)] = denormal * 0x1p100f;
  });
  for (float result : results) EXPECT_EQ(result, 0.0f);
  for (float input : inputs) EXPECT_EQ(input, 0.0f);
}

TEST_P(ThreadPoolTest, LeavesTheCallersDenormalsAlone) {
  ThreadPool pool(GetParam());
  pool.parallel_for(5, [](std::int64_t) {});
  EXPECT_GT(half_of(kSmallestNormal), 0.0f);
}

TEST(FlushDenormals, HoldsForItsScope) {
  EXPECT_GT(half_of(kSmallestNormal), 0.0f);
  {
    const FlushDenormals outer;
    {
      const FlushDenormals inner;
      EXPECT_EQ(half_of(kSmallestNormal), 0.0f);
    }
    EXPECT_EQ(half_of(kSmallestNormal), 0.0f);
  }
  EXPECT_GT(half_of(kSmallestNormal), 0.0f);
}

TEST(ThreadPoolDeathTest, NeedsAThread) { EXPECT_DEATH(ThreadPool(0), "threads 0"); }

}  // namespace
}  // namespace r1
