#include "backend/cpu/generic/quantized.h"

#include "backend/cpu/avx2/gemm_register.h"
#include "backend/cpu/avx2/lanes.h"
#include "backend/cpu/instruction_sets.h"

namespace r1::cpu::avx2 {
namespace {

// generic/quantized_codes.h and quantized_tile.h: half of the 16 columns of a panel.
struct QuantizedRegister {
  using Codes = __m256i;
  using Sums = __m256i;
  using Quad = __m256i;
  using Float = GemmRegister;
  static constexpr int kWidth = 8;
  // Of 16 registers a tile takes 2 x 2 integer and 2 x 2 float sums, and the products their
  // factors.
  static constexpr int kRows = 2, kColumns = 2;

  static Codes load_codes(const std::byte* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void store_codes(Codes codes, std::byte* p) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), codes);
  }
  template <int byte>
  static Codes masked(Codes codes) {
    return _mm256_and_si256(codes, _mm256_set1_epi8(static_cast<char>(byte)));
  }
  template <int n>
  static Codes shifted_left(Codes codes) {
    return _mm256_slli_epi32(codes, n);
  }
  template <int n>
  static Codes shifted_right(Codes codes) {
    return _mm256_srli_epi32(codes, n);
  }
  static Codes joined(Codes a, Codes b) { return _mm256_or_si256(a, b); }

  static Sums start(const std::int32_t* p) { return _mm256_set1_epi32(*p); }
  static Quad quad(const std::int8_t* x) {
    std::int32_t word;
    __builtin_memcpy(&word, x, sizeof word);
    return _mm256_set1_epi32(word);
  }
  // Pairs of products are added in 16 bits, which saturate: codes above 127 give theirs in two
  // parts, the low seven bits and the eighth.
  template <int most>
  static Sums dot(Sums sums, Codes codes, Quad x) {
    static_assert(most <= 127 || most == 255);
    const __m256i ones = _mm256_set1_epi16(1);
    if constexpr (most <= 127) {
      return _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_maddubs_epi16(codes, x), ones));
    } else {
      const __m256i low = _mm256_maddubs_epi16(masked<127>(codes), x);
      const __m256i high = _mm256_maddubs_epi16(masked<1>(_mm256_srli_epi16(codes, 7)), x);
      const __m256i eighth = _mm256_set1_epi16(128);
      return _mm256_add_epi32(_mm256_add_epi32(sums, _mm256_madd_epi16(low, ones)),
                              _mm256_madd_epi16(high, eighth));
    }
  }
  static Float to_float(Sums sums) { return {_mm256_cvtepi32_ps(sums)}; }

  static __m128i bytes_at(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
  static Float from_f16(const f16* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static Float from_u8(const std::uint8_t* p) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes_at(p)))};
  }
  static Float from_i8(const std::int8_t* p) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes_at(p)))};
  }
  template <int byte>
  static Float code_value(Codes codes) {
    return {_mm256_cvtepi32_ps(
        _mm256_and_si256(_mm256_srli_epi32(codes, 8 * byte), _mm256_set1_epi32(255)))};
  }
};

}  // namespace

const QuantizedKernels& quantized_kernels() {
  static constexpr QuantizedKernels kTable =
      generic::quantized_kernels_on<QuantizedRegister, F32x16>();
  return kTable;
}

}  // namespace r1::cpu::avx2
