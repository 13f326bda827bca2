#pragma once

#include <immintrin.h>

#include <cstdint>

#include "tensor/bf16.h"

// F32x16 (scalar/lanes.h defines it) as one AVX-512 register.
namespace r1::cpu::avx512 {

inline constexpr std::int64_t kLanes = 16;

struct Mask16 {
  __mmask16 bits;
};

struct F32x16 {
  using Mask = Mask16;
  __m512 v;

  static F32x16 broadcast(float value) { return {_mm512_set1_ps(value)}; }
  static F32x16 zero() { return {_mm512_setzero_ps()}; }

  static F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static F32x16 load_first(const float* p, std::int64_t count) {
    return {_mm512_maskz_loadu_ps(first_lanes(count).bits, p)};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_first(float* p, std::int64_t count) const {
    _mm512_mask_storeu_ps(p, first_lanes(count).bits, v);
  }

  static F32x16 load(const bf16* p) {
    return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static F32x16 load_first(const bf16* p, std::int64_t count) {
    return widen(_mm256_maskz_loadu_epi16(first_lanes(count).bits, p));
  }
  void store(bf16* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), rounded_words()); }
  void store_first(bf16* p, std::int64_t count) const {
    _mm256_mask_storeu_epi16(p, first_lanes(count).bits, rounded_words());
  }

  static F32x16 load(const std::int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))};
  }
  // Whole numbers within the bytes' range.
  void store_int8(std::int8_t* p) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
  }

  static Mask16 first_lanes(std::int64_t count) {
    return {static_cast<__mmask16>((1u << count) - 1u)};
  }

  static F32x16 widen(__m256i words) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16))};
  }
  // The bf16 in the upper half of each lane; the lower half is left over from rounding.
  __m512i rounded_bits() const {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i nearest =
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    return _mm512_mask_or_epi32(nearest, nan, bits, _mm512_set1_epi32(0x00400000));
  }
  __m256i rounded_words() const {
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded_bits(), 16));
  }
};

inline F32x16 operator+(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F32x16 operator-(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F32x16 operator*(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F32x16 operator/(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F32x16 operator-(F32x16 a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F32x16 sqrt(F32x16 a) { return {_mm512_sqrt_ps(a.v)}; }
inline F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }

inline Mask16 less(F32x16 a, F32x16 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
inline Mask16 is_nan(F32x16 a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
inline bool any(Mask16 m) { return m.bits != 0; }
inline F32x16 select(Mask16 mask, F32x16 a, F32x16 b) {
  return {_mm512_mask_blend_ps(mask.bits, b.v, a.v)};
}

inline F32x16 round_to_bf16_values(F32x16 a) {
  const __m512i upper = _mm512_set1_epi32(static_cast<std::int32_t>(0xFFFF0000u));
  return {_mm512_castsi512_ps(_mm512_and_si512(a.rounded_bits(), upper))};
}

inline F32x16 add_to_exponent(F32x16 a, F32x16 b) {
  const __m512i shifted = _mm512_slli_epi32(_mm512_castps_si512(b.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a.v), shifted))};
}

struct SplitF32x16 {
  F32x16 significand, exponent;
};
inline SplitF32x16 split_exponent(F32x16 a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i exponent =
      _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3F3504F3)), 23);
  return {{_mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(exponent, 23)))},
          {_mm512_cvtepi32_ps(exponent)}};
}

inline float reduce_add(F32x16 a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline float reduce_max(F32x16 a) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

}  // namespace r1::cpu::avx512
