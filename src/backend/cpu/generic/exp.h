#pragma once

// Elementary functions on V, the F32x16 of any instruction set (scalar/lanes.h). They are
// specified, with their coefficients, in docs/numerics.md; errors are below 1 unit in the last
// place.
namespace r1::cpu::generic {

// ln 2 = kLn2High + kLn2Low. n * kLn2High is subtracted by fma without rounding for every integer n
// that a float exponent can be (Cody & Waite's reduction).
inline constexpr float kLn2High = 0x1.62e43p-1f;
inline constexpr float kLn2Low = -0x1.05c61p-29f;
inline constexpr float kSmallestNormal = 0x1p-126f;
inline constexpr float kLargestFinite = 0x1.fffffep127f;

// e^x. 0 where the result is below the smallest normal, infinity where it is above the largest.
template <typename V>
V exp(V x) {
  constexpr float kRoundToInteger = 0x1.8p23f;  // added, leaves the integer in the low bits
  constexpr float kUnderflow = -0x1.5d589ep6f;  // the least x with e^x >= 2^-126
  constexpr float kOverflow = 0x1.62e42ep6f;    // the greatest x with e^x finite
  const V one = V::broadcast(1.0f);

  // x = n ln 2 + r, |r| <= ln 2 / 2.
  const V shifted = fma(x, V::broadcast(0x1.715476p0f), V::broadcast(kRoundToInteger));
  const V n = shifted - V::broadcast(kRoundToInteger);
  V r = fma(n, V::broadcast(-kLn2High), x);
  r = fma(n, V::broadcast(-kLn2Low), r);

  // e^r = 1 + r + r^2 (...), minimax in relative error (0.06 units in the last place).
  V p = V::broadcast(0x1.6a23c8p-10f);
  p = fma(p, r, V::broadcast(0x1.123a2p-7f));
  p = fma(p, r, V::broadcast(0x1.5558f4p-5f));
  p = fma(p, r, V::broadcast(0x1.555492p-3f));
  p = fma(p, r, V::broadcast(0x1.fffffcp-2f));
  p = fma(p, r, one);
  p = fma(p, r, one);

  V y = add_to_exponent(p, shifted);
  y = select(less(x, V::broadcast(kUnderflow)), V::zero(), y);
  y = select(less(V::broadcast(kOverflow), x), V::broadcast(__builtin_inff()), y);
  return select(is_nan(x), x, y);
}

// ln x. -infinity for zeros and denormals, NaN for negative x.
template <typename V>
V log(V x) {
  // x = m 2^e, f = m - 1, s = f / (2 + f): ln m = 2 artanh s = f - f^2/2 + s (f^2/2 + R(s^2)),
  // R being the series of 2 artanh(s) / s beyond its first term.
  const auto [m, e] = split_exponent(x);
  const V f = m - V::broadcast(1.0f);
  const V s = f / (V::broadcast(2.0f) + f);
  const V z = s * s;
  V series = V::broadcast(2.0f / 9.0f);
  series = fma(series, z, V::broadcast(2.0f / 7.0f));
  series = fma(series, z, V::broadcast(2.0f / 5.0f));
  series = fma(series, z, V::broadcast(2.0f / 3.0f));
  const V half_square = V::broadcast(0.5f) * f * f;
  const V correction = fma(s, fma(series, z, half_square), e * V::broadcast(kLn2Low));
  V y = fma(e, V::broadcast(kLn2High), f - (half_square - correction));

  y = select(less(x, V::broadcast(kSmallestNormal)), V::broadcast(-__builtin_inff()), y);
  y = select(less(x, V::zero()), V::broadcast(__builtin_nanf("")), y);
  y = select(less(V::broadcast(kLargestFinite), x), x, y);
  return select(is_nan(x), x, y);
}

// 1 / (1 + e^-x).
template <typename V>
V sigmoid(V x) {
  const V one = V::broadcast(1.0f);
  return one / (one + exp(-x));
}

}  // namespace r1::cpu::generic
