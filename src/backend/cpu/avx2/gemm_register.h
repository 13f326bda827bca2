#pragma once

#include <immintrin.h>

#include <cstdint>

#include "backend/cpu/avx2/lanes.h"

namespace r1::cpu::avx2 {

// One register of a product: half of the 16 columns of a panel (generic/gemm_tile.h, gemm_pack.h).
struct GemmRegister {
  __m256 v;

  static constexpr int kWidth = 8;
  // Of 16 registers a bf16 tile takes 3 x 2 sums in two chains; an f32 tile 6 x 2 sums.
  static constexpr int kRowsBf16 = 3, kRowsF32 = 6, kColumns = 2;

  static GemmRegister zero() { return {_mm256_setzero_ps()}; }
  static GemmRegister broadcast(const float* p) { return {_mm256_broadcast_ss(p)}; }
  static GemmRegister load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static GemmRegister load_first(const float* p, std::int64_t count) {
    return {_mm256_maskload_ps(p, first_lanes(count))};
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store_first(float* p, std::int64_t count) const {
    _mm256_maskstore_ps(p, first_lanes(count), v);
  }
  void store_bits(bf16* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_castps_si256(v));
  }
  static __m256i first_lanes(std::int64_t count) {
    return _mm256_castps_si256(F32x16::first_lanes(count).low);
  }

  static __m256i load_words(const bf16* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static GemmRegister even(const bf16* pairs) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(load_words(pairs), 16))};
  }
  static GemmRegister odd(const bf16* pairs) {
    const __m256i upper = _mm256_set1_epi32(static_cast<std::int32_t>(0xFFFF0000u));
    return {_mm256_castsi256_ps(_mm256_and_si256(load_words(pairs), upper))};
  }
  static GemmRegister widen(const bf16* p) {
    return {F32x16::widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }

  static GemmRegister narrow(GemmRegister low, GemmRegister high) {
    const __m256i packed = _mm256_packus_epi32(_mm256_srli_epi32(F32x16::rounded_bits(low.v), 16),
                                               _mm256_srli_epi32(F32x16::rounded_bits(high.v), 16));
    return {_mm256_castsi256_ps(_mm256_permute4x64_epi64(packed, 0xD8))};
  }
  static GemmRegister interleave(GemmRegister even, GemmRegister odd) {
    const __m256i lower = _mm256_srli_epi32(F32x16::rounded_bits(even.v), 16);
    return {_mm256_castsi256_ps(_mm256_or_si256(lower, F32x16::rounded_bits(odd.v)))};
  }

  static void transpose(GemmRegister (&rows)[kWidth]) {
    __m256 a[kWidth], b[kWidth];
#pragma GCC unroll 8
    for (int i = 0; i < kWidth; i += 2) {
      a[i] = _mm256_unpacklo_ps(rows[i].v, rows[i + 1].v);
      a[i + 1] = _mm256_unpackhi_ps(rows[i].v, rows[i + 1].v);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kWidth; i += 4) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        b[i + 2 * half] = _mm256_shuffle_ps(a[i + half], a[i + 2 + half], 0x44);
        b[i + 2 * half + 1] = _mm256_shuffle_ps(a[i + half], a[i + 2 + half], 0xEE);
      }
    }
#pragma GCC unroll 8
    for (int j = 0; j < 4; ++j) {
      rows[j].v = _mm256_permute2f128_ps(b[j], b[4 + j], 0x20);
      rows[4 + j].v = _mm256_permute2f128_ps(b[j], b[4 + j], 0x31);
    }
  }
};

inline GemmRegister operator+(GemmRegister a, GemmRegister b) { return {_mm256_add_ps(a.v, b.v)}; }
inline GemmRegister operator-(GemmRegister a, GemmRegister b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline GemmRegister operator*(GemmRegister a, GemmRegister b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline GemmRegister fma(GemmRegister a, GemmRegister b, GemmRegister c) {
  return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}
// a - b * c, rounded once.
inline GemmRegister minus_product(GemmRegister a, GemmRegister b, GemmRegister c) {
  return {_mm256_fnmadd_ps(b.v, c.v, a.v)};
}

}  // namespace r1::cpu::avx2
