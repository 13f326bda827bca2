#include "tensor/aligned_buffer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <type_traits>

#include "tensor/bf16.h"

namespace r1 {
namespace {

bool aligned_to(const void* pointer, std::uintptr_t alignment) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignment == 0;
}

TEST(AlignedBuffer, IsAlignedAndZeroed) {
  for (const std::size_t size : {1, 3, 17, 1000}) {
    const AlignedBuffer<float> buffer(size);
    EXPECT_EQ(buffer.size(), size);
    EXPECT_TRUE(aligned_to(buffer.data(), 64));
    EXPECT_THAT(buffer.span(), testing::Each(0.0f));
  }
}

TEST(AlignedBuffer, LargeOnesSitOnHugePages) {
  AlignedBuffer<float> buffer((std::size_t{4} << 20) / sizeof(float), Fill::none);
  EXPECT_TRUE(aligned_to(buffer.data(), std::uintptr_t{2} << 20));
  buffer[buffer.size() - 1] = 1.0f;
  EXPECT_EQ(buffer.span().back(), 1.0f);
}

TEST(AlignedBuffer, EmptyOwnsNothing) {
  const AlignedBuffer<bf16> buffer(0);
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.data(), nullptr);
}

TEST(AlignedBuffer, MovesAndClones) {
  static_assert(!std::is_copy_constructible_v<AlignedBuffer<int>>);
  AlignedBuffer<int> a(4);
  a[2] = 7;
  const AlignedBuffer<int> copy = a.clone();
  AlignedBuffer<int> b(1);
  b = std::move(a);
  EXPECT_EQ(a.size(), 0u);  // NOLINT: moved-from is empty by contract
  b[2] = 8;
  EXPECT_EQ(copy[2], 7);
}

TEST(AlignedBuffer, ChecksRanges) {
  AlignedBuffer<int> buffer(8);
  buffer[5] = 3;
  EXPECT_EQ(buffer.span(5, 3)[0], 3);
  EXPECT_EQ(buffer.span(8, 0).size(), 0u);
  EXPECT_DEATH(buffer.span(5, 4), "offset 5 count 4 size 8");
  EXPECT_DEATH(buffer.span(9, 0), "offset 9");
  EXPECT_DEATH(buffer.span(1, std::numeric_limits<std::size_t>::max()), "check failed");
}

TEST(AlignedBuffer, RefusesImpossibleSizes) {
  EXPECT_THROW(allocate_aligned(std::numeric_limits<std::size_t>::max() / 4, 8), Error);
  try {
    allocate_aligned(std::size_t{1} << 60, 4);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("1152921504606846976 elements of 4 bytes"));
  }
}

}  // namespace
}  // namespace r1
