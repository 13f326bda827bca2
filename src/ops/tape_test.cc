#include "ops/tape.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "ops/context.h"

namespace r1 {
namespace {

TEST(Arena, MemoryIsAlignedDistinctAndReused) {
  Arena arena;
  float* first = arena.allocate(3);
  const Arena::Mark mark = arena.mark();
  float* second = arena.allocate(5);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % kCacheLine, 0u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second) % kCacheLine, 0u);
  EXPECT_GE(second, first + 3);
  arena.reset(mark);
  EXPECT_EQ(arena.allocate(1), second);
  arena.reset();
  EXPECT_EQ(arena.allocate(1), first);
}

TEST(Arena, SettlesInOneChunkAfterTheFirstPass) {
  constexpr std::int64_t kLarge = std::int64_t{5} << 20;
  Arena arena;
  const auto pass = [&] {
    arena.reset();
    for (int i = 0; i < 5; ++i) arena.allocate(kLarge)[0] = 1.0f;
  };
  pass();
  pass();
  const std::int64_t settled = arena.bytes();
  for (int i = 0; i < 3; ++i) pass();
  EXPECT_EQ(arena.bytes(), settled);
  EXPECT_EQ(arena.mark().chunk, 0u);
}

TEST(Arena, KeepMovesDataDownToTheMark) {
  constexpr std::int64_t kChunk = std::int64_t{8} << 20;
  Arena arena;
  arena.allocate(100);
  const Arena::Mark mark = arena.mark();
  arena.allocate(kChunk);  // takes a chunk of its own
  float* data = arena.allocate(200);
  for (int i = 0; i < 200; ++i) data[i] = static_cast<float>(i);
  const std::int64_t held = arena.bytes();
  const float* kept = arena.keep(mark, data, 200);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(kept[i], static_cast<float>(i));
  EXPECT_EQ(arena.mark().chunk, mark.chunk);
  EXPECT_EQ(arena.bytes(), held);
}

class TapeTest : public testing::Test {
 protected:
  Tensor make(Shape shape) {
    Tensor tensor{arena_.allocate(shape.count()), shape, Tape::kNoNode};
    tape_.watch(tensor);
    return tensor;
  }
  Tensor make_result(Shape shape) {
    Tensor tensor{arena_.allocate(shape.count()), shape, Tape::kNoNode};
    tape_.watch_result(tensor);
    return tensor;
  }
  Arena arena_;
  Tape tape_{arena_};
};

TEST_F(TapeTest, RunsRecordsInReverseAndOnce) {
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) tape_.record([&order, i] { order.push_back(i); });
  tape_.backward();
  tape_.backward();
  EXPECT_EQ(order, (std::vector<int>{2, 1, 0}));
}

TEST_F(TapeTest, GradientsBeginAtZeroAndAreSharedByViews) {
  const Tensor x = make({2, 3});
  EXPECT_FALSE(tape_.has_gradient(x));
  float* gradient = tape_.gradient(x);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(gradient[i], 0.0f);
  EXPECT_TRUE(tape_.has_gradient(x));
  EXPECT_EQ(tape_.gradient(reshape(x, {3, 2})), gradient);
  EXPECT_EQ(tape_.gradient(Tensor{x.data, x.shape, Tape::kNoNode}), nullptr);
}

TEST_F(TapeTest, OnlyTheFirstClaimIsFresh) {
  const Tensor x = make({4});
  const Tape::Slot first = tape_.claim(x), second = tape_.claim(x);
  EXPECT_FALSE(first.accumulate);
  EXPECT_TRUE(second.accumulate);
  EXPECT_EQ(first.data, second.data);
  EXPECT_EQ(tape_.gradient(x), first.data);
}

// x -> y -> z, each result's gradient the sum of what follows.
TEST_F(TapeTest, ResultsLeaveTheirMemoryToTheOpsBefore) {
  const Tensor x = make({4});
  const Tensor y = make_result({4});
  float* of_x = nullptr;
  tape_.record([&] { of_x = tape_.claim(x).data; });
  const Tensor z = make_result({4});
  tape_.record([&] { tape_.claim(y); });
  float* of_z = tape_.gradient(z);
  tape_.backward();
  EXPECT_EQ(of_x, of_z);
  EXPECT_FALSE(tape_.has_gradient(z));
  EXPECT_EQ(tape_.gradient(x), of_x);
}

TEST_F(TapeTest, ResultsKeepTheirMemoryUntilTheirOwnBackwardHasRun) {
  const Tensor y = make_result({4});
  std::vector<float> seen;
  tape_.record([&] { seen.assign(tape_.gradient(y), tape_.gradient(y) + 4); });
  for (std::size_t use = 0; use < 3; ++use) {
    const Tensor z = make_result({4});
    float* dz = tape_.gradient(z);
    tape_.record([this, y, dz, use] {
      dz[use] = -1.0f;  // must not be y's
      tape_.gradient(y)[use] = static_cast<float>(use + 1);
    });
  }
  tape_.backward();
  EXPECT_EQ(seen, (std::vector<float>{1.0f, 2.0f, 3.0f, 0.0f}));
}

TEST_F(TapeTest, AWholeShareIsInheritedOnlyByTheFirst) {
  const Tensor x = make({4}), out = make_result({4});
  tape_.record([&] {
    float* dout = tape_.gradient(out);
    EXPECT_EQ(tape_.inherit(x, out).data, nullptr);
    EXPECT_EQ(tape_.gradient(x), dout);
  });
  const Tensor later = make_result({4});
  tape_.record([&] {
    float* dlater = tape_.gradient(later);
    EXPECT_EQ(tape_.inherit(out, later).data, nullptr);
    EXPECT_EQ(tape_.gradient(out), dlater);
  });
  const Tensor last = make_result({4});
  tape_.record([&] {
    tape_.claim(later);
    const Tape::Slot slot = tape_.inherit(later, last);
    EXPECT_NE(slot.data, tape_.gradient(last));
    EXPECT_TRUE(slot.accumulate);
  });
  tape_.gradient(last)[0] = 5.0f;
  tape_.backward();
  EXPECT_TRUE(tape_.has_gradient(x));
}

TEST_F(TapeTest, AForeignGradientIsNeverMoved) {
  float memory[4] = {};
  Tensor x{arena_.allocate(4), {4}, Tape::kNoNode};
  tape_.watch(x, {memory, false});
  const Tensor out = make_result({4});
  tape_.record([&] { EXPECT_EQ(tape_.inherit(x, out).data, memory); });
  tape_.gradient(out);
  tape_.backward();
  EXPECT_EQ(tape_.gradient(x), memory);
}

TEST(Context, TensorsAreWatchedOnlyWithATape) {
  Backend backend(1);
  Arena arena;
  Tape tape(arena);
  const ForwardContext train{backend, arena, Precision::f32, &tape}, infer{backend, arena};
  EXPECT_NE(train.make({2}).node, Tape::kNoNode);
  EXPECT_EQ(train.make_constant({2}).node, Tape::kNoNode);
  EXPECT_EQ(infer.make({2}).node, Tape::kNoNode);
}

}  // namespace
}  // namespace r1
