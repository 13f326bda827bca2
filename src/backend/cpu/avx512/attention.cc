// g++ 12 takes the "undefined" operand inside its own AVX-512 intrinsics for a mistake of ours.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include "backend/cpu/generic/attention.h"

#include "backend/cpu/avx512/lanes.h"
#include "backend/cpu/instruction_sets.h"

namespace r1::cpu::avx512 {
namespace {

struct Set {
  using F32x16 = avx512::F32x16;
  static constexpr int kDotKeys = 8, kDotGroups = 2;                     // 16 sums of 32 registers
  static constexpr int kSumRows = 6, kSumVecs = 4, kSumNarrowRows = 12;  // 24 and 12 sums

  // to[c * 16 + row] = rows[row][column + c] for row, c < 16. Within 128-bit lanes first, then the
  // lanes among each other.
  static void transpose(const float* const* rows, std::int64_t column, float* to) {
    __m512 quads[16];
    for (int row = 0; row < 16; row += 4) {
      const __m512 a = _mm512_loadu_ps(rows[row] + column);
      const __m512 b = _mm512_loadu_ps(rows[row + 1] + column);
      const __m512 c = _mm512_loadu_ps(rows[row + 2] + column);
      const __m512 d = _mm512_loadu_ps(rows[row + 3] + column);
      const __m512d ab_low = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
      const __m512d ab_high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
      const __m512d cd_low = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
      const __m512d cd_high = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
      // quads[row + i]: columns i, i + 4, i + 8, i + 12 of these four rows.
      quads[row] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_low, cd_low));
      quads[row + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_low, cd_low));
      quads[row + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high));
      quads[row + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high));
    }
    for (int i = 0; i < 4; ++i) {
      const __m512 even_low = _mm512_shuffle_f32x4(quads[i], quads[i + 4], 0x88);
      const __m512 odd_low = _mm512_shuffle_f32x4(quads[i], quads[i + 4], 0xDD);
      const __m512 even_high = _mm512_shuffle_f32x4(quads[i + 8], quads[i + 12], 0x88);
      const __m512 odd_high = _mm512_shuffle_f32x4(quads[i + 8], quads[i + 12], 0xDD);
      _mm512_storeu_ps(to + i * 16, _mm512_shuffle_f32x4(even_low, even_high, 0x88));
      _mm512_storeu_ps(to + (i + 4) * 16, _mm512_shuffle_f32x4(odd_low, odd_high, 0x88));
      _mm512_storeu_ps(to + (i + 8) * 16, _mm512_shuffle_f32x4(even_low, even_high, 0xDD));
      _mm512_storeu_ps(to + (i + 12) * 16, _mm512_shuffle_f32x4(odd_low, odd_high, 0xDD));
    }
  }
};

}  // namespace

const AttentionKernels& attention_kernels() { return generic::Attention<Set>::kernels(); }

}  // namespace r1::cpu::avx512
