#pragma once

#include <cstdint>

#include "backend/gemm_yardsticks.h"

// The yardsticks on one register type (gemm_tile.h).
namespace r1::cpu::generic {

// As many multiply-adds from as few loads as the registers allow.
inline constexpr int kYardstickSteps = 128;

template <typename V>
void multiply_from_l1(std::int64_t rounds, float* scratch) {
  constexpr int R = V::kRowsF32, P = V::kColumns;
  static_assert(kYardstickSteps * (P * V::kWidth + 16) <= GemmYardsticks::kFloats);
  const float* const b = scratch;
  const float* const a = scratch + kYardstickSteps * P * V::kWidth;
  V acc[R][P];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int q = 0; q < P; ++q) acc[r][q] = V::zero();
  }
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (int p = 0; p < kYardstickSteps; ++p) {
      V row[P];
#pragma GCC unroll 4
      for (int q = 0; q < P; ++q) row[q] = V::load(b + (p * P + q) * V::kWidth);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const V value = V::broadcast(a + p * 16 + r);
#pragma GCC unroll 4
        for (int q = 0; q < P; ++q) acc[r][q] = fma(value, row[q], acc[r][q]);
      }
    }
  }
  for (int r = 1; r < R; ++r) {
    for (int q = 0; q < P; ++q) acc[0][q] = acc[0][q] + acc[r][q];
  }
  for (int q = 0; q < P; ++q) acc[0][q].store(scratch + q * V::kWidth);
}

template <typename V>
float read_once(const void* memory, std::int64_t bytes) {
  constexpr int kRegisters = 8;
  constexpr std::int64_t kAhead = 512;
  const auto* p = static_cast<const float*>(memory);
  V sums[kRegisters];
  for (V& sum : sums) sum = V::zero();
  for (const float* end = p + bytes / 4; p != end; p += kRegisters * V::kWidth) {
#pragma GCC unroll 8
    for (int i = 0; i < kRegisters; ++i) {
      __builtin_prefetch(p + kAhead + i * V::kWidth);
      sums[i] = sums[i] + V::load(p + i * V::kWidth);
    }
  }
  for (int i = 1; i < kRegisters; ++i) sums[0] = sums[0] + sums[i];
  float lanes[V::kWidth];
  sums[0].store(lanes);
  return lanes[0];
}

template <typename V>
constexpr GemmYardsticks gemm_yardsticks_on() {
  return GemmYardsticks{
      .multiply = multiply_from_l1<V>,
      .macs_per_round = std::int64_t{kYardstickSteps} * V::kRowsF32 * V::kColumns * V::kWidth,
      .read = read_once<V>,
  };
}

}  // namespace r1::cpu::generic
