#pragma once

#include <bit>
#include <cstdint>

namespace r1 {

// bfloat16: the upper half of an IEEE single. Storage only; arithmetic happens in float.
struct bf16 {
  std::uint16_t bits = 0;
  friend constexpr bool operator==(bf16, bf16) = default;  // compares bits: 0 != -0, NaN == NaN
};
static_assert(sizeof(bf16) == 2);

// Round to nearest, ties to even; overflows to infinity. A NaN stays a quiet NaN of its sign.
constexpr bf16 round_to_bf16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
    return bf16{static_cast<std::uint16_t>(bits >> 16 | 0x0040u)};
  }
  const std::uint32_t to_even = 0x7FFFu + (bits >> 16 & 1u);
  return bf16{static_cast<std::uint16_t>((bits + to_even) >> 16)};
}

// Exact.
constexpr float to_float(bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

}  // namespace r1
