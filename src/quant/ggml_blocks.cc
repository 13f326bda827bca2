#include "quant/ggml_blocks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "tensor/bf16.h"

static_assert(std::endian::native == std::endian::little, "blocks are little-endian");

namespace r1 {
namespace {

// A reciprocal of something smaller would overflow. Scales that small are zero as halves.
constexpr float kSmallestScale = 0x1p-100f;

float reciprocal_or_zero(float scale) {
  return std::abs(scale) < kSmallestScale ? 0.0f : 1.0f / scale;
}

// Orders floats by magnitude, denormals too where the processor takes them for zero.
std::uint32_t magnitude_bits(float value) { return std::bit_cast<std::uint32_t>(value) << 1; }

void check_sizes(GgmlType type, std::size_t values, std::size_t bytes) {
  const GgmlBlockSize block = block_size(type);
  R1_CHECK(values % block.values == 0 && bytes / block.bytes == values / block.values &&
               bytes % block.bytes == 0,
           "{}: {} values, {} bytes", name_of(type), values, bytes);
}

template <class Block>
void dequantize_blocks(std::span<const std::byte> bytes, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); i += Block::kValues) {
    Block block;
    std::memcpy(&block, bytes.data() + i / Block::kValues * sizeof block, sizeof block);
    dequantize(block, out.subspan(i).first<Block::kValues>());
  }
}

template <class Stored>
void widen(std::span<const std::byte> bytes, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof stored, sizeof stored);
    out[i] = to_float(stored);
  }
}

template <class Block, class Quantize>
void quantize_blocks(std::span<const float> values, std::span<std::byte> out, Quantize quantize) {
  for (std::size_t i = 0; i < values.size(); i += Block::kValues) {
    const Block block = quantize(values.subspan(i).first<Block::kValues>());
    std::memcpy(out.data() + i / Block::kValues * sizeof block, &block, sizeof block);
  }
}

template <class Stored, class Round>
void narrow(std::span<const float> values, std::span<std::byte> out, Round round) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Stored stored = round(values[i]);
    std::memcpy(out.data() + i * sizeof stored, &stored, sizeof stored);
  }
}

void check_range(GgmlType type, std::span<const float> values, std::string_view where) {
  const float largest = largest_magnitude(type);
  const bool plain = block_size(type).values == 1;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::abs(values[i]) <= largest) continue;
    if (!std::isfinite(values[i])) {
      if (plain) continue;
      throw Error(where,
                  fmt::format("value {} is {}, which {} cannot store", i, values[i], name_of(type)),
                  "keep this tensor in BF16, or repair the checkpoint");
    }
    throw Error(where,
                fmt::format("value {} is {:g}, but {} stores at most {:g}", i, values[i],
                            name_of(type), largest),
                "keep this tensor in BF16");
  }
}

}  // namespace

KScales pack_scales(std::span<const std::uint8_t, KScales::kGroups> scales,
                    std::span<const std::uint8_t, KScales::kGroups> minima) {
  KScales packed;
  for (std::size_t j = 0; j < 4; ++j) {
    const unsigned low_scale = scales[j], high_scale = scales[j + 4];
    const unsigned low_minimum = minima[j], high_minimum = minima[j + 4];
    packed.bytes[j] = static_cast<std::uint8_t>(low_scale | high_scale >> 4 << 6);
    packed.bytes[j + 4] = static_cast<std::uint8_t>(low_minimum | high_minimum >> 4 << 6);
    packed.bytes[j + 8] = static_cast<std::uint8_t>((high_scale & 15u) | (high_minimum & 15u) << 4);
  }
  return packed;
}

void dequantize(const BlockQ8_0& block, std::span<float, kSmallBlock> out) {
  const float d = to_float(block.d);
  for (std::size_t i = 0; i < kSmallBlock; ++i) out[i] = d * static_cast<float>(block.q[i]);
}

void dequantize(const BlockQ4_0& block, std::span<float, kSmallBlock> out) {
  const float d = to_float(block.d);
  for (std::size_t j = 0; j < block.nibbles.size(); ++j) {
    out[j] = d * static_cast<float>((block.nibbles[j] & 15) - 8);
    out[j + block.nibbles.size()] = d * static_cast<float>((block.nibbles[j] >> 4) - 8);
  }
}

void dequantize(const BlockQ4K& block, std::span<float, kSuperBlock> out) {
  const float d = to_float(block.d), dmin = to_float(block.dmin);
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    const float scale = d * static_cast<float>(block.scales.scale(group));
    const float minimum = dmin * static_cast<float>(block.scales.minimum(group));
    const std::uint8_t* nibbles = block.nibbles.data() + group / 2 * KScales::kGroupValues;
    float* values = out.data() + group * KScales::kGroupValues;
    for (std::size_t l = 0; l < KScales::kGroupValues; ++l) {
      const int n = nibbles[l] >> (group % 2 * 4) & 15;
      values[l] = scale * static_cast<float>(n) - minimum;
    }
  }
}

void dequantize(const BlockQ5K& block, std::span<float, kSuperBlock> out) {
  const float d = to_float(block.d), dmin = to_float(block.dmin);
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    const float scale = d * static_cast<float>(block.scales.scale(group));
    const float minimum = dmin * static_cast<float>(block.scales.minimum(group));
    const std::uint8_t* nibbles = block.nibbles.data() + group / 2 * KScales::kGroupValues;
    float* values = out.data() + group * KScales::kGroupValues;
    for (std::size_t l = 0; l < KScales::kGroupValues; ++l) {
      const int n = (nibbles[l] >> (group % 2 * 4) & 15) | (block.high_bits[l] >> group & 1) << 4;
      values[l] = scale * static_cast<float>(n) - minimum;
    }
  }
}

void dequantize(const BlockQ6K& block, std::span<float, kSuperBlock> out) {
  const float d = to_float(block.d);
  for (std::size_t i = 0; i < kSuperBlock; ++i) {
    const std::size_t half = i / 128, quarter = i % 128 / 32, l = i % 32;
    const int low = block.low[64 * half + 32 * (quarter % 2) + l] >> (quarter / 2 * 4) & 15;
    const int high = block.high[32 * half + l] >> (2 * quarter) & 3;
    const float scale = d * static_cast<float>(block.scales[i / BlockQ6K::kGroupValues]);
    out[i] = scale * static_cast<float>((low | high << 4) - 32);
  }
}

void dequantize(GgmlType type, std::span<const std::byte> blocks, std::span<float> out) {
  check_sizes(type, out.size(), blocks.size());
  switch (type) {
    case GgmlType::f32:
      std::copy(blocks.begin(), blocks.end(), std::as_writable_bytes(out).begin());
      return;
    case GgmlType::f16:
      return widen<f16>(blocks, out);
    case GgmlType::bf16:
      return widen<bf16>(blocks, out);
    case GgmlType::q8_0:
      return dequantize_blocks<BlockQ8_0>(blocks, out);
    case GgmlType::q4_0:
      return dequantize_blocks<BlockQ4_0>(blocks, out);
    case GgmlType::q4_k:
      return dequantize_blocks<BlockQ4K>(blocks, out);
    case GgmlType::q5_k:
      return dequantize_blocks<BlockQ5K>(blocks, out);
    case GgmlType::q6_k:
      return dequantize_blocks<BlockQ6K>(blocks, out);
  }
}

BlockQ8_0 quantize_q8_0(std::span<const float, kSmallBlock> values) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  const float d = largest / 127;
  const float inverse = reciprocal_or_zero(d);
  BlockQ8_0 block;
  block.d = round_to_f16(d);
  for (std::size_t i = 0; i < kSmallBlock; ++i) {
    block.q[i] = static_cast<std::int8_t>(std::round(values[i] * inverse));
  }
  return block;
}

BlockQ4_0 quantize_q4_0(std::span<const float, kSmallBlock> values) {
  float extreme = 0;  // the value of the largest magnitude, the first of several
  for (const float value : values) {
    if (magnitude_bits(value) > magnitude_bits(extreme)) extreme = value;
  }
  const float d = extreme / -8;
  const float inverse = reciprocal_or_zero(d);
  const auto code = [inverse](float value) {
    return std::min(15, static_cast<int>(value * inverse + 8.5f));
  };
  BlockQ4_0 block;
  block.d = round_to_f16(d);
  for (std::size_t j = 0; j < block.nibbles.size(); ++j) {
    const int low = code(values[j]), high = code(values[j + block.nibbles.size()]);
    block.nibbles[j] = static_cast<std::uint8_t>(low | high << 4);
  }
  return block;
}

float largest_magnitude(GgmlType type) {
  constexpr float kLargestHalf = 65504;
  switch (type) {
    case GgmlType::f32:
      return std::numeric_limits<float>::max();
    case GgmlType::bf16:
      return to_float(bf16{0x7F7F});
    case GgmlType::f16:
      return kLargestHalf;
    case GgmlType::q8_0:
      return 127 * kLargestHalf;
    case GgmlType::q4_0:
      return 8 * kLargestHalf;
    default:
      return 0x1p20f;  // the K formats reach a little further, depending on the other values
  }
}

void quantize(GgmlType type, std::span<const float> values, std::span<std::byte> blocks,
              std::string_view where) {
  check_sizes(type, values.size(), blocks.size());
  check_range(type, values, where);
  switch (type) {
    case GgmlType::f32:
      std::ranges::copy(std::as_bytes(values), blocks.begin());
      return;
    case GgmlType::f16:
      return narrow<f16>(values, blocks, round_to_f16);
    case GgmlType::bf16:
      return narrow<bf16>(values, blocks, round_to_bf16);
    case GgmlType::q8_0:
      return quantize_blocks<BlockQ8_0>(values, blocks, quantize_q8_0);
    case GgmlType::q4_0:
      return quantize_blocks<BlockQ4_0>(values, blocks, quantize_q4_0);
    case GgmlType::q4_k:
      return quantize_blocks<BlockQ4K>(values, blocks, quantize_q4_k);
    case GgmlType::q5_k:
      return quantize_blocks<BlockQ5K>(values, blocks, quantize_q5_k);
    case GgmlType::q6_k:
      return quantize_blocks<BlockQ6K>(values, blocks, quantize_q6_k);
  }
}

}  // namespace r1
