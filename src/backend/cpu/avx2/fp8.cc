#include "backend/cpu/generic/fp8.h"

#include "backend/cpu/avx2/gemm_register.h"
#include "backend/cpu/fp8_instruction_sets.h"

namespace r1::cpu::avx2 {
namespace {

// generic/fp8_tile.h: half of the 16 columns of a panel.
struct Fp8Register {
  using Float = GemmRegister;
  using Pairs = __m256i;
  static constexpr int kWidth = 8;
  // Of 16 registers a tile takes 2 x 2 x 2 sums and what becomes of a square.
  static constexpr int kRows = 2;

  // The low and the high bytes of 16 bf16, in each 128-bit lane.
  struct Tables {
    __m256i low, high, subnormal_low, subnormal_high;
  };
  static Tables tables(const Float (&normal)[2], const Float (&subnormal)[2]) {
    const __m256i first = _mm256_castps_si256(Float::narrow(normal[0], normal[1]).v);
    const __m256i second = _mm256_castps_si256(Float::narrow(subnormal[0], subnormal[1]).v);
    const __m256i low_bytes = _mm256_set1_epi16(0xFF);
    const __m256i low =
        joined(_mm256_and_si256(first, low_bytes), _mm256_and_si256(second, low_bytes));
    const __m256i high = joined(_mm256_srli_epi16(first, 8), _mm256_srli_epi16(second, 8));
    return {_mm256_permute2x128_si256(low, low, 0x00), _mm256_permute2x128_si256(high, high, 0x00),
            _mm256_permute2x128_si256(low, low, 0x11), _mm256_permute2x128_si256(high, high, 0x11)};
  }

  template <bool subnormals>
  static void unpack(const std::byte* p, const Tables& t, Pairs& first, Pairs& second) {
    const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i index = _mm256_and_si256(codes, _mm256_set1_epi8(0x0F));
    const __m256i exponent = _mm256_and_si256(codes, _mm256_set1_epi8(static_cast<char>(0xF0)));
    const __m256i zero = _mm256_setzero_si256();
    __m256i low = _mm256_shuffle_epi8(t.low, index), high = _mm256_shuffle_epi8(t.high, index);
    if constexpr (subnormals) {
      const __m256i lowest = _mm256_cmpeq_epi8(exponent, zero);
      low = _mm256_blendv_epi8(low, _mm256_shuffle_epi8(t.subnormal_low, index), lowest);
      high = _mm256_blendv_epi8(high, _mm256_shuffle_epi8(t.subnormal_high, index), lowest);
    }
    // The exponent begins at bit 4 of a code and at bit 7 of a bf16.
    first = _mm256_add_epi16(_mm256_unpacklo_epi8(low, high),
                             _mm256_slli_epi16(_mm256_unpacklo_epi8(exponent, zero), 3));
    second = _mm256_add_epi16(_mm256_unpackhi_epi8(low, high),
                              _mm256_slli_epi16(_mm256_unpackhi_epi8(exponent, zero), 3));
  }

  static Pairs load(const bf16* p) { return GemmRegister::load_words(p); }
  static void store(Pairs pairs, bf16* p) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), pairs);
  }
  static Float even(Pairs pairs) { return {_mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16))}; }
  static Float odd(Pairs pairs) {
    const __m256i upper = _mm256_set1_epi32(static_cast<std::int32_t>(0xFFFF0000u));
    return {_mm256_castsi256_ps(_mm256_and_si256(pairs, upper))};
  }

 private:
  // The bytes of two times 16 words: those of `a` in the lower lane, of `b` in the upper.
  static __m256i joined(__m256i a, __m256i b) {
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xD8);
  }
};

}  // namespace

const Fp8Kernels& fp8_kernels() {
  static constexpr Fp8Kernels kTable = generic::fp8_kernels_on<Fp8Register>();
  return kTable;
}

}  // namespace r1::cpu::avx2
