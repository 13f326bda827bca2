#pragma once

#include <bit>
#include <cstdint>

namespace r1 {

// IEEE 754 binary16. Storage only; arithmetic happens in float.
struct f16 {
  std::uint16_t bits = 0;
  friend constexpr bool operator==(f16, f16) = default;  // compares bits
};
static_assert(sizeof(f16) == 2);

// Exact.
constexpr float to_float(f16 value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t exponent = value.bits >> 10 & 0x1Fu;
  const std::uint32_t fraction = value.bits & 0x3FFu;
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  const std::uint32_t wide = exponent == 31 ? 255u : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

// Round to nearest, ties to even; overflows to infinity. A NaN stays a quiet NaN of its sign.
constexpr f16 round_to_f16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  const auto with_sign = [sign](std::uint32_t rest) {
    return f16{static_cast<std::uint16_t>(sign | rest)};
  };
  if (magnitude > 0x7F800000u) return with_sign(0x7E00u | (magnitude >> 13 & 0x3FFu));
  if (magnitude >= 0x477FF000u) return with_sign(0x7C00u);  // 65520, halfway beyond the largest
  // Below 2^-14 the result counts in steps of 2^-24, above in steps of 2^-10 of its exponent.
  const std::uint32_t exponent = magnitude >> 23;
  if (exponent < 113 - 11) return with_sign(0);
  const std::uint32_t dropped = exponent < 113 ? 126 - exponent : 13;
  const std::uint32_t significand =
      exponent < 113 ? (magnitude & 0x7FFFFFu) | 0x800000u : magnitude - (112u << 23);
  const std::uint32_t to_even = (1u << (dropped - 1)) - 1 + (significand >> dropped & 1u);
  return with_sign((significand + to_even) >> dropped);
}

}  // namespace r1
