#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/bf16.h"
#include "tensor/fp8.h"

// Matrices in FP8 E4M3 with a scale for each block of 128 x 128 values, as DeepSeek-V3's
// checkpoints hold them (DeepSeek-V3, README_WEIGHTS.md). Decoding is the specification that every
// kernel follows.
namespace r1 {

// Extent of the blocks that share a scale; those at the right and lower edge may be partial.
inline constexpr std::int64_t kFp8Block = 128;

inline constexpr std::int64_t fp8_blocks_of(std::int64_t extent) {
  return (extent + kFp8Block - 1) / kFp8Block;
}

// A matrix [n, k] of codes, row after row, and scales [fp8_blocks_of(n), fp8_blocks_of(k)].
struct Fp8Matrix {
  std::int64_t n = 0, k = 0;
  std::span<const std::byte> codes;
  std::span<const float> scales;

  f8_e4m3 code(std::int64_t row, std::int64_t column) const {
    return {std::to_integer<std::uint8_t>(codes[static_cast<std::size_t>(row * k + column)])};
  }
  float scale(std::int64_t row, std::int64_t column) const {
    return scales[static_cast<std::size_t>(row / kFp8Block * fp8_blocks_of(k) +
                                           column / kFp8Block)];
  }
};

// Code times scale, rounded to single. A denormal scale counts as zero, and so does a product below
// 2^-126: the result is the same whether the machine flushes denormals or not.
float fp8_value(f8_e4m3 code, float scale);

// fp8_value() of every code, rounded to bf16: what products read. Into table [256].
void fp8_table(float scale, bf16* table);

// Values of rows [first, first + out.size() / k).
void decode_fp8(const Fp8Matrix& matrix, std::int64_t first, std::span<float> out);

}  // namespace r1
