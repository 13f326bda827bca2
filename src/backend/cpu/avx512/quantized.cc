#include "backend/cpu/generic/quantized.h"

#include "backend/cpu/avx512/gemm_register.h"
#include "backend/cpu/avx512/lanes.h"
#include "backend/cpu/instruction_sets.h"

namespace r1::cpu::avx512 {
namespace {

// generic/quantized_codes.h and quantized_tile.h: all 16 columns of a panel.
struct QuantizedRegister {
  using Codes = __m512i;
  using Sums = __m512i;
  using Quad = __m512i;
  using Float = GemmRegister;
  static constexpr int kWidth = 16;
  // Of 32 registers a tile takes 6 x 2 integer and 6 x 2 float sums.
  static constexpr int kRows = 6, kColumns = 2;

  static Codes load_codes(const std::byte* p) { return _mm512_loadu_si512(p); }
  static void store_codes(Codes codes, std::byte* p) { _mm512_storeu_si512(p, codes); }
  template <int byte>
  static Codes masked(Codes codes) {
    return _mm512_and_si512(codes, _mm512_set1_epi8(static_cast<char>(byte)));
  }
  template <int n>
  static Codes shifted_left(Codes codes) {
    return _mm512_slli_epi32(codes, n);
  }
  template <int n>
  static Codes shifted_right(Codes codes) {
    return _mm512_srli_epi32(codes, n);
  }
  static Codes joined(Codes a, Codes b) { return _mm512_or_si512(a, b); }

  static Sums start(const std::int32_t* p) { return _mm512_set1_epi32(*p); }
  static Quad quad(const std::int8_t* x) {
    std::int32_t word;
    __builtin_memcpy(&word, x, sizeof word);
    return _mm512_set1_epi32(word);
  }
  template <int most>
  static Sums dot(Sums sums, Codes codes, Quad x) {
    return _mm512_dpbusd_epi32(sums, codes, x);
  }
  static Float to_float(Sums sums) { return {_mm512_cvtepi32_ps(sums)}; }

  static __m128i bytes_at(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  static Float from_f16(const f16* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static Float from_u8(const std::uint8_t* p) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes_at(p)))};
  }
  static Float from_i8(const std::int8_t* p) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes_at(p)))};
  }
  template <int byte>
  static Float code_value(Codes codes) {
    return {_mm512_cvtepi32_ps(
        _mm512_and_si512(_mm512_srli_epi32(codes, 8 * byte), _mm512_set1_epi32(255)))};
  }
};

}  // namespace

const QuantizedKernels& quantized_kernels() {
  static constexpr QuantizedKernels kTable =
      generic::quantized_kernels_on<QuantizedRegister, F32x16>();
  return kTable;
}

}  // namespace r1::cpu::avx512
