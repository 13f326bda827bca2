#pragma once

#include <immintrin.h>

#include <cstdint>

#include "tensor/bf16.h"

// F32x16 (scalar/lanes.h defines it) as two AVX registers.
namespace r1::cpu::avx2 {

inline constexpr std::int64_t kLanes = 16;

struct Mask16 {
  __m256 low, high;  // all bits of a lane
};

// A window of 16 whose first `count` are set begins at kWindow + 16 - count.
inline constexpr std::int32_t kWindow[2 * kLanes] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                     -1, -1, -1, -1, -1, -1, -1, -1};

struct F32x16 {
  using Mask = Mask16;
  __m256 low, high;

  static F32x16 broadcast(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
  static F32x16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }

  static F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static F32x16 load_first(const float* p, std::int64_t count) {
    const Mask16 m = first_lanes(count);
    return {_mm256_maskload_ps(p, _mm256_castps_si256(m.low)),
            _mm256_maskload_ps(p + 8, _mm256_castps_si256(m.high))};
  }
  void store(float* p) const {
    _mm256_storeu_ps(p, low);
    _mm256_storeu_ps(p + 8, high);
  }
  void store_first(float* p, std::int64_t count) const {
    const Mask16 m = first_lanes(count);
    _mm256_maskstore_ps(p, _mm256_castps_si256(m.low), low);
    _mm256_maskstore_ps(p + 8, _mm256_castps_si256(m.high), high);
  }

  static F32x16 load(const bf16* p) {
    const auto* words = reinterpret_cast<const __m128i*>(p);
    return {widen(_mm_loadu_si128(words)), widen(_mm_loadu_si128(words + 1))};
  }
  static F32x16 load_first(const bf16* p, std::int64_t count) {
    bf16 padded[kLanes] = {};
    __builtin_memcpy(padded, p, static_cast<std::uint64_t>(count) * sizeof(bf16));
    return load(padded);
  }
  void store(bf16* p) const {
    const __m256i packed = _mm256_packus_epi32(_mm256_srli_epi32(rounded_bits(low), 16),
                                               _mm256_srli_epi32(rounded_bits(high), 16));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xD8));
  }
  void store_first(bf16* p, std::int64_t count) const {
    bf16 padded[kLanes];
    store(padded);
    __builtin_memcpy(p, padded, static_cast<std::uint64_t>(count) * sizeof(bf16));
  }

  static F32x16 load(const std::int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
  }
  // Whole numbers within the bytes' range.
  void store_int8(std::int8_t* p) const {
    const __m256i words = _mm256_permute4x64_epi64(
        _mm256_packs_epi32(_mm256_cvtps_epi32(low), _mm256_cvtps_epi32(high)), 0xD8);
    const __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  }

  static Mask16 first_lanes(std::int64_t count) {
    const auto* window = reinterpret_cast<const __m256i*>(kWindow + kLanes - count);
    return {_mm256_castsi256_ps(_mm256_loadu_si256(window)),
            _mm256_castsi256_ps(_mm256_loadu_si256(window + 1))};
  }

  static __m256 widen(__m128i words) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16));
  }
  // The bf16 in the upper half of each lane, the lower half zero.
  static __m256i rounded_bits(__m256 value) {
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i nearest =
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x00400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
    return _mm256_and_si256(_mm256_blendv_epi8(nearest, quiet, nan),
                            _mm256_set1_epi32(static_cast<std::int32_t>(0xFFFF0000u)));
  }
};

inline F32x16 operator+(F32x16 a, F32x16 b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline F32x16 operator-(F32x16 a, F32x16 b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline F32x16 operator*(F32x16 a, F32x16 b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline F32x16 operator/(F32x16 a, F32x16 b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
inline F32x16 operator-(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_xor_ps(a.low, sign), _mm256_xor_ps(a.high, sign)};
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline F32x16 sqrt(F32x16 a) { return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)}; }
inline F32x16 max(F32x16 a, F32x16 b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

inline Mask16 less(F32x16 a, F32x16 b) {
  return {_mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ), _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ)};
}
inline Mask16 is_nan(F32x16 a) {
  return {_mm256_cmp_ps(a.low, a.low, _CMP_UNORD_Q), _mm256_cmp_ps(a.high, a.high, _CMP_UNORD_Q)};
}
inline bool any(Mask16 m) { return _mm256_movemask_ps(_mm256_or_ps(m.low, m.high)) != 0; }
inline F32x16 select(Mask16 mask, F32x16 a, F32x16 b) {
  return {_mm256_blendv_ps(b.low, a.low, mask.low), _mm256_blendv_ps(b.high, a.high, mask.high)};
}

inline F32x16 round_to_bf16_values(F32x16 a) {
  return {_mm256_castsi256_ps(F32x16::rounded_bits(a.low)),
          _mm256_castsi256_ps(F32x16::rounded_bits(a.high))};
}

inline __m256 add_to_exponent(__m256 a, __m256 b) {
  const __m256i shifted = _mm256_slli_epi32(_mm256_castps_si256(b), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), shifted));
}
inline F32x16 add_to_exponent(F32x16 a, F32x16 b) {
  return {add_to_exponent(a.low, b.low), add_to_exponent(a.high, b.high)};
}

struct SplitF32x16 {
  F32x16 significand, exponent;
};
inline SplitF32x16 split_exponent(F32x16 a) {
  const __m256i sqrt_half = _mm256_set1_epi32(0x3F3504F3);
  const __m256i low = _mm256_castps_si256(a.low), high = _mm256_castps_si256(a.high);
  const __m256i low_exponent = _mm256_srai_epi32(_mm256_sub_epi32(low, sqrt_half), 23);
  const __m256i high_exponent = _mm256_srai_epi32(_mm256_sub_epi32(high, sqrt_half), 23);
  return {{_mm256_castsi256_ps(_mm256_sub_epi32(low, _mm256_slli_epi32(low_exponent, 23))),
           _mm256_castsi256_ps(_mm256_sub_epi32(high, _mm256_slli_epi32(high_exponent, 23)))},
          {_mm256_cvtepi32_ps(low_exponent), _mm256_cvtepi32_ps(high_exponent)}};
}

inline float reduce_add(F32x16 a) {
  const __m256 eight = _mm256_add_ps(a.low, a.high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline float reduce_max(F32x16 a) {
  const __m256 eight = _mm256_max_ps(a.low, a.high);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

}  // namespace r1::cpu::avx2
