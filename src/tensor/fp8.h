#pragma once

#include <bit>
#include <cstdint>

namespace r1 {

// FP8 E4M3FN (OCP 8-bit floating point 1.0, 2023): bias 7, no infinities, NaN is S.1111.111, the
// largest number is 448. Storage only.
struct f8_e4m3 {
  std::uint8_t bits = 0;
  friend constexpr bool operator==(f8_e4m3, f8_e4m3) = default;  // compares bits
};
static_assert(sizeof(f8_e4m3) == 1);

// Exact.
constexpr float to_float(f8_e4m3 value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x80u) << 24;
  const std::uint32_t exponent = value.bits >> 3 & 0xFu;
  const std::uint32_t fraction = value.bits & 7u;
  if ((value.bits & 0x7Fu) == 0x7Fu) return std::bit_cast<float>(sign | 0x7FC00000u);
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-9
    const float magnitude = static_cast<float>(fraction) * 0x1p-9f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | (exponent + (127 - 7)) << 23 | fraction << 20);
}

// Round to nearest, ties to even; what is beyond 448, infinities included, becomes 448 of its sign.
constexpr f8_e4m3 round_to_f8_e4m3(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 24 & 0x80u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  const auto with_sign = [sign](std::uint32_t rest) {
    return f8_e4m3{static_cast<std::uint8_t>(sign | rest)};
  };
  if (magnitude > 0x7F800000u) return with_sign(0x7Fu);
  if (magnitude >= 0x43E00000u) return with_sign(0x7Eu);  // 448
  // Below 2^-6 the result counts in steps of 2^-9, above in steps of 2^-3 of its exponent.
  const std::uint32_t exponent = magnitude >> 23;
  if (exponent < 121 - 4) return with_sign(0);
  const std::uint32_t dropped = exponent < 121 ? 141 - exponent : 20;
  const std::uint32_t significand =
      exponent < 121 ? (magnitude & 0x7FFFFFu) | 0x800000u : magnitude - (120u << 23);
  const std::uint32_t to_even = (1u << (dropped - 1)) - 1 + (significand >> dropped & 1u);
  return with_sign((significand + to_even) >> dropped);
}

}  // namespace r1
