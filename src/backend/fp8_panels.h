#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/gemm_kernels.h"
#include "quant/fp8_blocks.h"
#include "tensor/fp8.h"

// FP8 weights W [n, k] as the right-hand factor of y = x W^T, in panels of kPanelWidth rows of W
// (columns of the product), the last one padded with zeros, as k is to a multiple of 32. A panel is
// its chunks' headers, then the codes in squares of 16 columns by four k:
//   [k / 4][column / 4][pair of k][column % 4][first, second of the pair]
// which unpack to two rows of a bf16 panel (gemm_kernels.h) within 128-bit lanes.
namespace r1 {

inline constexpr std::int64_t kFp8Square = 4;  // k of a square
inline constexpr std::int64_t kFp8SquareBytes = kFp8Square * kPanelWidth;

// What the codes of a block of 32 k need to be decoded.
enum class Fp8Kind : std::uint8_t {
  normal,      // a table of significands and the code's exponent: no code is below 2^-6
  subnormals,  // a second table for those with the lowest exponent
  any,         // every code its own value: NaN, or products near the ends of what floats can hold
};

// 128 values of k of one panel, which share a scale.
struct Fp8Chunk {
  float scale;
  Fp8Kind kinds[kFp8Block / kBf16KBlock];
};
static_assert(sizeof(Fp8Chunk) == 8);

// In a panel a code lies as exponent, sign, fraction, so that its low half is what tables go by.
constexpr std::uint8_t fp8_panel_code(std::uint8_t e4m3) {
  return static_cast<std::uint8_t>((e4m3 & 0x78u) << 1 | (e4m3 & 0x80u) >> 4 | (e4m3 & 0x07u));
}
constexpr f8_e4m3 fp8_code_of(std::uint8_t panel_code) {
  return {static_cast<std::uint8_t>((panel_code & 0xF0u) >> 1 | (panel_code & 0x08u) << 4 |
                                    (panel_code & 0x07u))};
}

constexpr std::int64_t fp8_header_bytes(std::int64_t k) {
  constexpr std::int64_t kLine = 64;
  const std::int64_t bytes = fp8_blocks_of(k) * std::int64_t{sizeof(Fp8Chunk)};
  return (bytes + kLine - 1) / kLine * kLine;
}
constexpr std::int64_t fp8_panel_bytes(std::int64_t k) {
  return fp8_header_bytes(k) + padded_k_bf16(k) * kPanelWidth;
}

// A panel of a product over k.
class Fp8Panel {
 public:
  Fp8Panel(const std::byte* panels, std::int64_t k, std::int64_t panel)
      : headers_(panels + panel * fp8_panel_bytes(k)), codes_(headers_ + fp8_header_bytes(k)) {}

  const Fp8Chunk& chunk_at(std::int64_t p) const {
    return reinterpret_cast<const Fp8Chunk*>(headers_)[p / kFp8Block];
  }
  Fp8Kind kind_at(std::int64_t p) const { return chunk_at(p).kinds[p % kFp8Block / kBf16KBlock]; }
  // The square that begins at p, a multiple of four.
  const std::byte* square_at(std::int64_t p) const { return codes_ + p * kPanelWidth; }
  std::uint8_t code(std::int64_t p, std::int64_t column) const {
    const std::int64_t at = column / 4 * 16 + p % 4 / 2 * 8 + column % 4 * 2 + p % 2;
    return static_cast<std::uint8_t>(square_at(p / kFp8Square * kFp8Square)[at]);
  }

 private:
  const std::byte *headers_, *codes_;
};

// Panels [first, last). `panels` points at panel 0.
void pack_fp8_panels(const Fp8Matrix& matrix, std::int64_t first_panel, std::int64_t last_panel,
                     std::byte* panels);

}  // namespace r1
