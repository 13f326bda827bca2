#pragma once

#include <immintrin.h>

#include <cstdint>

#include "backend/cpu/avx512/lanes.h"

namespace r1::cpu::avx512 {

// One register of a product: all 16 columns of a panel (generic/gemm_tile.h, gemm_pack.h).
struct GemmRegister {
  __m512 v;

  static constexpr int kWidth = 16;
  // Of 32 registers a bf16 tile takes 6 x 2 sums in two chains, two pairs of B and the values of A;
  // an f32 tile 14 x 2 sums.
  static constexpr int kRowsBf16 = 6, kRowsF32 = 14, kColumns = 2;

  static GemmRegister zero() { return {_mm512_setzero_ps()}; }
  static GemmRegister broadcast(const float* p) { return {_mm512_set1_ps(*p)}; }
  static GemmRegister load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static GemmRegister load_first(const float* p, std::int64_t count) {
    return {F32x16::load_first(p, count).v};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_first(float* p, std::int64_t count) const { F32x16{v}.store_first(p, count); }
  void store_bits(bf16* p) const { _mm512_storeu_ps(p, v); }

  static GemmRegister even(const bf16* pairs) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(pairs), 16))};
  }
  static GemmRegister odd(const bf16* pairs) {
    const __m512i upper = _mm512_set1_epi32(static_cast<std::int32_t>(0xFFFF0000u));
    return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(pairs), upper))};
  }
  static GemmRegister widen(const bf16* p) { return {F32x16::load(p).v}; }

  static GemmRegister narrow(GemmRegister low, GemmRegister high) {
    const __m512i words = _mm512_inserti64x4(_mm512_castsi256_si512(F32x16{low.v}.rounded_words()),
                                             F32x16{high.v}.rounded_words(), 1);
    return {_mm512_castsi512_ps(words)};
  }
  static GemmRegister interleave(GemmRegister even, GemmRegister odd) {
    constexpr __mmask32 kUpperWords = 0xAAAAAAAAu;
    const __m512i lower = _mm512_srli_epi32(F32x16{even.v}.rounded_bits(), 16);
    return {_mm512_castsi512_ps(
        _mm512_mask_mov_epi16(lower, kUpperWords, F32x16{odd.v}.rounded_bits()))};
  }

  static void transpose(GemmRegister (&rows)[kWidth]) {
    __m512 a[kWidth], b[kWidth];
    // Within 128-bit lanes: 4 x 4 squares.
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; i += 2) {
      a[i] = _mm512_unpacklo_ps(rows[i].v, rows[i + 1].v);
      a[i + 1] = _mm512_unpackhi_ps(rows[i].v, rows[i + 1].v);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; i += 4) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const __m512d x = _mm512_castps_pd(a[i + half]), y = _mm512_castps_pd(a[i + 2 + half]);
        b[i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
        b[i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
      }
    }
    // b[4 g + j] holds, in lane l, column 4 l + j of rows 4 g ... 4 g + 3: transpose the lanes.
#pragma GCC unroll 16
    for (int j = 0; j < 4; ++j) {
      const __m512 even01 = _mm512_shuffle_f32x4(b[j], b[4 + j], 0x88);
      const __m512 odd01 = _mm512_shuffle_f32x4(b[j], b[4 + j], 0xDD);
      const __m512 even23 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0x88);
      const __m512 odd23 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0xDD);
      rows[j].v = _mm512_shuffle_f32x4(even01, even23, 0x88);
      rows[4 + j].v = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
      rows[8 + j].v = _mm512_shuffle_f32x4(even01, even23, 0xDD);
      rows[12 + j].v = _mm512_shuffle_f32x4(odd01, odd23, 0xDD);
    }
  }
};

inline GemmRegister operator+(GemmRegister a, GemmRegister b) { return {_mm512_add_ps(a.v, b.v)}; }
inline GemmRegister operator-(GemmRegister a, GemmRegister b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline GemmRegister operator*(GemmRegister a, GemmRegister b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline GemmRegister fma(GemmRegister a, GemmRegister b, GemmRegister c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
// a - b * c, rounded once.
inline GemmRegister minus_product(GemmRegister a, GemmRegister b, GemmRegister c) {
  return {_mm512_fnmadd_ps(b.v, c.v, a.v)};
}

}  // namespace r1::cpu::avx512
