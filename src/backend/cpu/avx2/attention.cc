#include "backend/cpu/generic/attention.h"

#include "backend/cpu/avx2/lanes.h"
#include "backend/cpu/instruction_sets.h"

namespace r1::cpu::avx2 {
namespace {

// An F32x16 is two registers of the sixteen.
struct Set {
  using F32x16 = avx2::F32x16;
  static constexpr int kDotKeys = 6, kDotGroups = 1;
  static constexpr int kSumRows = 6, kSumVecs = 1, kSumNarrowRows = 6;

  // to[c * 16 + row] = rows[row][column + c] for row, c < 16, as four transposes of 8 x 8.
  static void transpose(const float* const* rows, std::int64_t column, float* to) {
    for (int row = 0; row < 16; row += 8) {
      for (int c = 0; c < 16; c += 8) transpose_8x8(rows + row, column + c, to + c * 16 + row);
    }
  }
  static void transpose_8x8(const float* const* rows, std::int64_t column, float* to) {
    __m256 quads[8];
    for (int row = 0; row < 8; row += 4) {
      const __m256 a = _mm256_loadu_ps(rows[row] + column);
      const __m256 b = _mm256_loadu_ps(rows[row + 1] + column);
      const __m256 c = _mm256_loadu_ps(rows[row + 2] + column);
      const __m256 d = _mm256_loadu_ps(rows[row + 3] + column);
      const __m256d ab_low = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
      const __m256d ab_high = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
      const __m256d cd_low = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
      const __m256d cd_high = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
      // quads[row + i]: columns i and i + 4 of these four rows.
      quads[row] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab_low, cd_low));
      quads[row + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab_low, cd_low));
      quads[row + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high));
      quads[row + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high));
    }
    for (int i = 0; i < 4; ++i) {
      _mm256_storeu_ps(to + i * 16, _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x20));
      _mm256_storeu_ps(to + (i + 4) * 16, _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x31));
    }
  }
};

}  // namespace

const AttentionKernels& attention_kernels() { return generic::Attention<Set>::kernels(); }

}  // namespace r1::cpu::avx2
