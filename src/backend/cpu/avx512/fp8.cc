#include "backend/cpu/generic/fp8.h"

#include "backend/cpu/avx512/gemm_register.h"
#include "backend/cpu/fp8_instruction_sets.h"

namespace r1::cpu::avx512 {
namespace {

// generic/fp8_tile.h: all 16 columns of a panel.
struct Fp8Register {
  using Float = GemmRegister;
  using Pairs = __m512i;
  static constexpr int kWidth = 16;
  // Of 32 registers a tile takes 6 x 2 sums, the tables and what becomes of a square.
  static constexpr int kRows = 6;

  // The low and the high bytes of 16 bf16, in each 128-bit lane.
  struct Tables {
    __m512i low, high, subnormal_low, subnormal_high;
  };
  static Tables tables(const Float (&normal)[1], const Float (&subnormal)[1]) {
    const __m512i words = _mm512_castps_si512(Float::narrow(normal[0], subnormal[0]).v);
    const __m256i low = _mm512_cvtepi16_epi8(words);
    const __m256i high = _mm512_cvtepi16_epi8(_mm512_srli_epi16(words, 8));
    return {_mm512_broadcast_i32x4(_mm256_castsi256_si128(low)),
            _mm512_broadcast_i32x4(_mm256_castsi256_si128(high)),
            _mm512_broadcast_i32x4(_mm256_extracti128_si256(low, 1)),
            _mm512_broadcast_i32x4(_mm256_extracti128_si256(high, 1))};
  }

  template <bool subnormals>
  static void unpack(const std::byte* p, const Tables& t, Pairs& first, Pairs& second) {
    const __m512i codes = _mm512_loadu_si512(p);
    const __m512i exponent_bits = _mm512_set1_epi8(static_cast<char>(0xF0));
    const __m512i index = _mm512_and_si512(codes, _mm512_set1_epi8(0x0F));
    const __m512i exponent = _mm512_and_si512(codes, exponent_bits);
    __m512i low = _mm512_shuffle_epi8(t.low, index), high = _mm512_shuffle_epi8(t.high, index);
    if constexpr (subnormals) {
      const __mmask64 lowest = _mm512_testn_epi8_mask(codes, exponent_bits);
      low = _mm512_mask_shuffle_epi8(low, lowest, t.subnormal_low, index);
      high = _mm512_mask_shuffle_epi8(high, lowest, t.subnormal_high, index);
    }
    // The exponent begins at bit 4 of a code and at bit 7 of a bf16.
    const __m512i zero = _mm512_setzero_si512();
    first = _mm512_add_epi16(_mm512_unpacklo_epi8(low, high),
                             _mm512_slli_epi16(_mm512_unpacklo_epi8(exponent, zero), 3));
    second = _mm512_add_epi16(_mm512_unpackhi_epi8(low, high),
                              _mm512_slli_epi16(_mm512_unpackhi_epi8(exponent, zero), 3));
  }

  static Pairs load(const bf16* p) { return _mm512_loadu_si512(p); }
  static void store(Pairs pairs, bf16* p) { _mm512_storeu_si512(p, pairs); }
  static Float even(Pairs pairs) { return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16))}; }
  static Float odd(Pairs pairs) {
    const __m512i upper = _mm512_set1_epi32(static_cast<std::int32_t>(0xFFFF0000u));
    return {_mm512_castsi512_ps(_mm512_and_si512(pairs, upper))};
  }
};

}  // namespace

const Fp8Kernels& fp8_kernels() {
  static constexpr Fp8Kernels kTable = generic::fp8_kernels_on<Fp8Register>();
  return kTable;
}

}  // namespace r1::cpu::avx512
