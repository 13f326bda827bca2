#pragma once

#include <cstdint>
#include <span>

#include "ops/ops.h"

namespace r1 {

// What rope and latent_queries share.

// Every position must have a row in the table.
inline void check_positions(const RopeTable& table, std::span<const std::int32_t> positions) {
  R1_CHECK(table.dim > 0 && table.dim % 2 == 0, "rope dim {}", table.dim);
  const auto known = static_cast<std::int64_t>(table.cos.size()) / (table.dim / 2);
  for (std::int32_t position : positions) {
    R1_CHECK(position >= 0 && position < known, "position {} of {}", position, known);
  }
}

// Rotates the `table.dim` numbers at x, and those `stride` further for each further head, to a
// position; sign = -1 rotates back. For use within parallel bodies.
inline void rotate_heads(const VectorKernels& kernels, const RopeTable& table,
                         std::int64_t position, float sign, std::int64_t heads, std::int64_t stride,
                         float* x) {
  const float* cos = table.cos.data() + position * (table.dim / 2);
  const float* sin = table.sin.data() + position * (table.dim / 2);
  const auto rotate =
      table.layout == RopeLayout::interleaved ? kernels.rope_interleaved : kernels.rope_halves;
  for (std::int64_t head = 0; head < heads; ++head) {
    rotate(table.dim, cos, sin, sign, x + head * stride);
  }
}

}  // namespace r1
