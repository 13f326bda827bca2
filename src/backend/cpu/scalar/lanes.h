#pragma once

#include <immintrin.h>

#include <bit>
#include <cstdint>

#include "tensor/bf16.h"

// The definition of F32x16, the vector on which every kernel of cpu/generic is written: 16 lanes of
// float, each operation IEEE to nearest in every lane. The other sets have the same type with the
// same bits (NaN payloads excepted). Kernels expect denormals flushed (docs/numerics.md).
namespace r1::cpu::scalar {

inline constexpr std::int64_t kLanes = 16;

struct Mask16 {
  bool lane[kLanes];
};

struct F32x16 {
  using Mask = Mask16;
  float lane[kLanes];

  static F32x16 broadcast(float value) {
    F32x16 v;
    for (int l = 0; l < kLanes; ++l) v.lane[l] = value;
    return v;
  }
  static F32x16 zero() { return broadcast(0.0f); }

  // Any alignment. `_first` touches only the first `count` in [0, 16] elements; lanes beyond are 0.
  static F32x16 load(const float* p) { return load_first(p, kLanes); }
  static F32x16 load_first(const float* p, std::int64_t count) {
    F32x16 v = zero();
    for (int l = 0; l < count; ++l) v.lane[l] = p[l];
    return v;
  }
  void store(float* p) const { store_first(p, kLanes); }
  void store_first(float* p, std::int64_t count) const {
    for (int l = 0; l < count; ++l) p[l] = lane[l];
  }

  // Widened exactly; rounded to nearest even as round_to_bf16() does.
  static F32x16 load(const bf16* p) { return load_first(p, kLanes); }
  static F32x16 load_first(const bf16* p, std::int64_t count) {
    F32x16 v = zero();
    for (int l = 0; l < count; ++l) v.lane[l] = to_float(p[l]);
    return v;
  }
  void store(bf16* p) const { store_first(p, kLanes); }
  void store_first(bf16* p, std::int64_t count) const {
    for (int l = 0; l < count; ++l) p[l] = round_to_bf16(lane[l]);
  }

  // True in lanes below `count`.
  static Mask16 first_lanes(std::int64_t count) {
    Mask16 m;
    for (int l = 0; l < kLanes; ++l) m.lane[l] = l < count;
    return m;
  }
};

inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline float sqrt(float a) { return __builtin_sqrtf(a); }
// a > b ? a : b, so b where either is NaN or both are zeros. The instruction itself, because a
// comparison and a move would let a denormal through.
inline float max(float a, float b) {
  return _mm_cvtss_f32(_mm_max_ss(_mm_set_ss(a), _mm_set_ss(b)));
}

inline F32x16 operator+(F32x16 a, F32x16 b) {
  for (int l = 0; l < kLanes; ++l) a.lane[l] = a.lane[l] + b.lane[l];
  return a;
}
inline F32x16 operator-(F32x16 a, F32x16 b) {
  for (int l = 0; l < kLanes; ++l) a.lane[l] = a.lane[l] - b.lane[l];
  return a;
}
inline F32x16 operator*(F32x16 a, F32x16 b) {
  for (int l = 0; l < kLanes; ++l) a.lane[l] = a.lane[l] * b.lane[l];
  return a;
}
inline F32x16 operator/(F32x16 a, F32x16 b) {
  for (int l = 0; l < kLanes; ++l) a.lane[l] = a.lane[l] / b.lane[l];
  return a;
}
// The sign bit flipped.
inline F32x16 operator-(F32x16 a) {
  for (int l = 0; l < kLanes; ++l) a.lane[l] = -a.lane[l];
  return a;
}
// a * b + c, rounded once.
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  for (int l = 0; l < kLanes; ++l) a.lane[l] = fma(a.lane[l], b.lane[l], c.lane[l]);
  return a;
}
inline F32x16 sqrt(F32x16 a) {
  for (int l = 0; l < kLanes; ++l) a.lane[l] = sqrt(a.lane[l]);
  return a;
}
inline F32x16 max(F32x16 a, F32x16 b) {
  for (int l = 0; l < kLanes; ++l) a.lane[l] = max(a.lane[l], b.lane[l]);
  return a;
}

// False where either is NaN.
inline Mask16 less(F32x16 a, F32x16 b) {
  Mask16 m;
  for (int l = 0; l < kLanes; ++l) m.lane[l] = a.lane[l] < b.lane[l];
  return m;
}
inline Mask16 is_nan(F32x16 a) {
  Mask16 m;
  for (int l = 0; l < kLanes; ++l) m.lane[l] = a.lane[l] != a.lane[l];
  return m;
}
inline bool any(Mask16 m) {
  for (int l = 0; l < kLanes; ++l) {
    if (m.lane[l]) return true;
  }
  return false;
}
// a where the mask is true, else b.
inline F32x16 select(Mask16 mask, F32x16 a, F32x16 b) {
  for (int l = 0; l < kLanes; ++l) a.lane[l] = mask.lane[l] ? a.lane[l] : b.lane[l];
  return a;
}

// Rounded to a bf16 value, kept as float.
inline F32x16 round_to_bf16_values(F32x16 a) {
  for (int l = 0; l < kLanes; ++l) a.lane[l] = to_float(round_to_bf16(a.lane[l]));
  return a;
}

// The low 9 bits of b's representation, added to the exponent field of a (modulo 2^9).
inline F32x16 add_to_exponent(F32x16 a, F32x16 b) {
  for (int l = 0; l < kLanes; ++l) {
    const std::uint32_t shifted = std::bit_cast<std::uint32_t>(b.lane[l]) << 23;
    a.lane[l] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(a.lane[l]) + shifted);
  }
  return a;
}

// a = significand * 2^exponent with significand in [sqrt(1/2), sqrt(2)), for positive normal a.
struct SplitF32x16 {
  F32x16 significand, exponent;
};
inline SplitF32x16 split_exponent(F32x16 a) {
  constexpr std::int32_t kSqrtHalf = 0x3F3504F3;
  SplitF32x16 s;
  for (int l = 0; l < kLanes; ++l) {
    const std::int32_t bits = std::bit_cast<std::int32_t>(a.lane[l]);
    const std::int32_t exponent = (bits - kSqrtHalf) >> 23;
    s.significand.lane[l] = std::bit_cast<float>(
        bits - static_cast<std::int32_t>(static_cast<std::uint32_t>(exponent) << 23));
    s.exponent.lane[l] = static_cast<float>(exponent);
  }
  return s;
}

// Over the lanes as a tree: l with l + 8, then l + 4, l + 2, l + 1.
inline float reduce_add(F32x16 a) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) a.lane[l] = a.lane[l] + a.lane[l + half];
  }
  return a.lane[0];
}
// The same tree of max(lane l, lane l + half).
inline float reduce_max(F32x16 a) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) a.lane[l] = max(a.lane[l], a.lane[l + half]);
  }
  return a.lane[0];
}

}  // namespace r1::cpu::scalar
