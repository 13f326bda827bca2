#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/ggml_type.h"
#include "tensor/f16.h"

// The blocks of ggml's quantised formats, as they lie in GGUF files. Decoding is the specification
// that every kernel follows; encoding is ours to choose for the K formats, and ggml's own for Q8_0
// and Q4_0. All results are the same on every machine, whether denormals are flushed or not.
namespace r1 {

inline constexpr std::size_t kSmallBlock = 32;   // values of a Q8_0 or Q4_0 block
inline constexpr std::size_t kSuperBlock = 256;  // values of a block of a K format

// value[i] = d * q[i]
struct BlockQ8_0 {
  static constexpr std::size_t kValues = kSmallBlock;
  f16 d;
  std::array<std::int8_t, kValues> q;
};
static_assert(sizeof(BlockQ8_0) == 34);

// value[i] = d * (n[i] - 8); byte j holds n[j] in its low and n[j + 16] in its high half.
struct BlockQ4_0 {
  static constexpr std::size_t kValues = kSmallBlock;
  f16 d;
  std::array<std::uint8_t, kValues / 2> nibbles;
};
static_assert(sizeof(BlockQ4_0) == 18);

// Eight groups of 32 values with a 6-bit scale and a 6-bit minimum each, packed into 12 bytes:
// groups 0..3 have theirs in the low 6 bits of bytes 0..3 (scales) and 4..7 (minima); groups 4..7
// have the low 4 bits in the halves of bytes 8..11 and the high 2 bits on top of bytes 0..7.
struct KScales {
  static constexpr std::size_t kGroups = 8;
  static constexpr std::size_t kGroupValues = kSuperBlock / kGroups;
  std::array<std::uint8_t, 12> bytes;

  constexpr std::uint8_t scale(std::size_t group) const {
    if (group < 4) return bytes[group] & 63;
    return static_cast<std::uint8_t>((bytes[group + 4] & 15) | (bytes[group - 4] >> 6) << 4);
  }
  constexpr std::uint8_t minimum(std::size_t group) const {
    if (group < 4) return bytes[group + 4] & 63;
    return static_cast<std::uint8_t>(bytes[group + 4] >> 4 | (bytes[group] >> 6) << 4);
  }
};
// The inverse; codes are below 64.
KScales pack_scales(std::span<const std::uint8_t, KScales::kGroups> scales,
                    std::span<const std::uint8_t, KScales::kGroups> minima);

// value[i] = d * scale(g) * n[i] - dmin * minimum(g) for i in group g. Byte 32 p + l of `nibbles`
// holds element l of group 2 p in its low and of group 2 p + 1 in its high half.
struct BlockQ4K {
  static constexpr std::size_t kValues = kSuperBlock;
  f16 d;
  f16 dmin;
  KScales scales;
  std::array<std::uint8_t, kValues / 2> nibbles;
};
static_assert(sizeof(BlockQ4K) == 144);

// The same with 5-bit n: bit g of high_bits[l] is the top bit of element l of group g.
struct BlockQ5K {
  static constexpr std::size_t kValues = kSuperBlock;
  f16 d;
  f16 dmin;
  KScales scales;
  std::array<std::uint8_t, KScales::kGroupValues> high_bits;
  std::array<std::uint8_t, kValues / 2> nibbles;
};
static_assert(sizeof(BlockQ5K) == 176);

// value[i] = d * scale[i / 16] * (n[i] - 32). Elements come in two halves of 128, each in four
// quarters of 32. In half h, byte 64 h + l of `low` holds the low 4 bits of element l of quarters 0
// and 2 (its low and its high half), byte 64 h + 32 + l those of quarters 1 and 3; bits 2 k and
// 2 k + 1 of high[32 h + l] are the top bits of element l of quarter k.
struct BlockQ6K {
  static constexpr std::size_t kValues = kSuperBlock;
  static constexpr std::size_t kGroups = 16;
  static constexpr std::size_t kGroupValues = kValues / kGroups;
  std::array<std::uint8_t, kValues / 2> low;
  std::array<std::uint8_t, kValues / 4> high;
  std::array<std::int8_t, kGroups> scales;
  f16 d;
};
static_assert(sizeof(BlockQ6K) == 210);

// Decoding. Each value is the exact product (for Q4_K and Q5_K, the difference of two exact
// products, rounded once to float), so no order of operations is left open.
void dequantize(const BlockQ8_0& block, std::span<float, kSmallBlock> out);
void dequantize(const BlockQ4_0& block, std::span<float, kSmallBlock> out);
void dequantize(const BlockQ4K& block, std::span<float, kSuperBlock> out);
void dequantize(const BlockQ5K& block, std::span<float, kSuperBlock> out);
void dequantize(const BlockQ6K& block, std::span<float, kSuperBlock> out);

// Any type. `blocks` need not be aligned and holds exactly the blocks of `out`, a whole number.
void dequantize(GgmlType type, std::span<const std::byte> blocks, std::span<float> out);

// Encoding of finite values, at most largest_magnitude(type) in size. Q8_0 and Q4_0 give ggml's
// bits; the K formats minimise the squared error by a search over scales (ggml_k_quants.cc).
BlockQ8_0 quantize_q8_0(std::span<const float, kSmallBlock> values);
BlockQ4_0 quantize_q4_0(std::span<const float, kSmallBlock> values);
BlockQ4K quantize_q4_k(std::span<const float, kSuperBlock> values);
BlockQ5K quantize_q5_k(std::span<const float, kSuperBlock> values);
BlockQ6K quantize_q6_k(std::span<const float, kSuperBlock> values);

// What a type can store without its scale overflowing. Finite for every type.
float largest_magnitude(GgmlType type);

// Any type; sizes as for dequantize. Throws Error with `where` (a tensor's name) for a value beyond
// largest_magnitude, and for NaN or infinity unless the type is a plain one, which keeps them.
void quantize(GgmlType type, std::span<const float> values, std::span<std::byte> blocks,
              std::string_view where);

}  // namespace r1
