#include "backend/stored_panels.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "backend/quantized_panels.h"
#include "base/error.h"
#include "quant/ggml_blocks.h"

namespace r1 {
namespace {

using Words = std::array<std::uint32_t, kQuads>;  // of a group: four codes each, in order of k

constexpr std::uint32_t kLowHalves = 0x0F0F0F0Fu;

std::uint32_t word_of(const std::byte* codes, std::int64_t row, std::int64_t column) {
  std::uint32_t word;
  std::memcpy(&word, codes + row * kWordRow + column * 4, sizeof word);
  return word;
}

Words nibbles_of(const std::byte* codes, std::int64_t column) {
  Words words;
  for (std::size_t q = 0; q < 4; ++q) {
    const std::uint32_t both = word_of(codes, static_cast<std::int64_t>(q), column);
    words[q] = both & kLowHalves;
    words[q + 4] = both >> 4 & kLowHalves;
  }
  return words;
}

template <typename Bytes>
void put_word(Bytes& bytes, std::size_t word, std::uint32_t value) {
  std::memcpy(bytes.data() + 4 * word, &value, sizeof value);
}

template <typename Bytes>
void or_word(Bytes& bytes, std::size_t word, std::uint32_t value) {
  std::uint32_t there;
  std::memcpy(&there, bytes.data() + 4 * word, sizeof there);
  put_word(bytes, word, there | value);
}

// take_block() is the inverse of spread() (quantized_panels.cc): the block of a column, of
// several in a chunk the `group`-th. `block` is all zeros before.
void take_block(const ChunkQ8_0& chunk, std::size_t group, std::int64_t column, BlockQ8_0& block) {
  block.d = chunk.d[group][column];
  for (std::size_t q = 0; q < kQuads; ++q) {
    put_word(block.q, q,
             word_of(chunk.codes[group], static_cast<std::int64_t>(q), column) ^ 0x80808080u);
  }
}

void take_block(const ChunkQ4_0& chunk, std::size_t group, std::int64_t column, BlockQ4_0& block) {
  block.d = chunk.d[group][column];
  for (std::size_t q = 0; q < 4; ++q) {
    put_word(block.nibbles, q, word_of(chunk.codes[group], static_cast<std::int64_t>(q), column));
  }
}

template <typename Chunk, typename Block>
void take_scales(const Chunk& chunk, std::int64_t column, Block& block) {
  block.d = chunk.d[column];
  block.dmin = chunk.dmin[column];
  std::array<std::uint8_t, KScales::kGroups> scales, minima;
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    scales[group] = chunk.scales[group][column];
    minima[group] = chunk.minima[group][column];
  }
  block.scales = pack_scales(scales, minima);
}

template <typename Block>
void take_nibbles(const std::byte* codes, std::size_t group, std::int64_t column, Block& block) {
  const Words words = nibbles_of(codes, column);
  for (std::size_t q = 0; q < kQuads; ++q) {
    or_word(block.nibbles, group / 2 * kQuads + q, words[q] << (group % 2 * 4));
  }
}

void take_block(const ChunkQ4K& chunk, std::size_t, std::int64_t column, BlockQ4K& block) {
  take_scales(chunk, column, block);
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    take_nibbles(chunk.codes[group], group, column, block);
  }
}

void take_block(const ChunkQ5K& chunk, std::size_t, std::int64_t column, BlockQ5K& block) {
  take_scales(chunk, column, block);
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    take_nibbles(chunk.codes[group], group, column, block);
    const std::uint32_t high = word_of(chunk.codes[group], 4, column);
    for (std::size_t q = 0; q < kQuads; ++q) {
      or_word(block.high_bits, q, (high >> q & 0x01010101u) << group);
    }
  }
}

void take_block(const ChunkQ6K& chunk, std::size_t, std::int64_t column, BlockQ6K& block) {
  block.d = chunk.d[column];
  for (std::size_t group = 0; group < ChunkQ6K::kGroups; ++group) {
    block.scales[2 * group] = chunk.scales[group][0][column];
    block.scales[2 * group + 1] = chunk.scales[group][1][column];
    const std::size_t half = group / 4, quarter = group % 4;
    const Words low = nibbles_of(chunk.codes[group], column);
    const std::uint32_t high[2] = {word_of(chunk.codes[group], 4, column),
                                   word_of(chunk.codes[group], 5, column)};
    for (std::size_t q = 0; q < kQuads; ++q) {
      or_word(block.low, 16 * half + 8 * (quarter % 2) + q, low[q] << (quarter / 2 * 4));
      const std::uint32_t top = high[q / 4] >> (2 * (q % 4)) & 0x03030303u;
      or_word(block.high, 8 * half + q, top << (2 * quarter));
    }
  }
}

template <typename Block, typename Chunk>
void take_row(const std::byte* panel, std::int64_t column, std::int64_t k, std::byte* row) {
  constexpr std::int64_t kBlock = Block::kValues, kChunk = Chunk::kGroups * kQuantizedGroup;
  for (std::int64_t first = 0; first < k; first += kChunk, panel += sizeof(Chunk)) {
    Chunk chunk;
    std::memcpy(&chunk, panel, sizeof chunk);
    for (std::int64_t b = 0; b < kChunk / kBlock && first + b * kBlock < k; ++b) {
      Block block{};
      take_block(chunk, static_cast<std::size_t>(b), column, block);
      std::memcpy(row, &block, sizeof block);
      row += sizeof block;
    }
  }
}

void take_bf16_row(const std::byte* panel, std::int64_t column, std::int64_t k, std::byte* row) {
  constexpr std::int64_t kPair = 2 * sizeof(bf16), kPairRow = kPanelWidth * kPair;
  panel += column * kPair;
  for (std::int64_t p = 0; p < k; p += 2, panel += kPairRow, row += kPair) {
    std::memcpy(row, panel, static_cast<std::size_t>(std::min<std::int64_t>(k - p, 2)) * 2);
  }
}

using TakeRow = void (*)(const std::byte* panel, std::int64_t column, std::int64_t k,
                         std::byte* row);
TakeRow take_row_of(GgmlType type) {
  switch (type) {
    case GgmlType::bf16:
      return take_bf16_row;
    case GgmlType::q8_0:
      return take_row<BlockQ8_0, ChunkQ8_0>;
    case GgmlType::q4_0:
      return take_row<BlockQ4_0, ChunkQ4_0>;
    case GgmlType::q4_k:
      return take_row<BlockQ4K, ChunkQ4K>;
    case GgmlType::q5_k:
      return take_row<BlockQ5K, ChunkQ5K>;
    case GgmlType::q6_k:
      return take_row<BlockQ6K, ChunkQ6K>;
    default:
      R1_CHECK(false, "panels do not keep {}", name_of(type));
  }
}

struct PanelExtents {
  std::int64_t panels, bytes;  // of one
};

PanelExtents extents_of(GgmlType type, std::int64_t n, std::int64_t k) {
  if (has_quantized_panels(type)) return {quantized_panels_of(n), quantized_panel_bytes(type, k)};
  return {panels_of(n), kPanelWidth * padded_k_bf16(k) * std::int64_t{sizeof(bf16)}};
}

}  // namespace

std::int64_t stored_panel_bytes(GgmlType type, std::int64_t n, std::int64_t k) {
  const PanelExtents extents = extents_of(type, n, k);
  return extents.panels * extents.bytes;
}

std::optional<std::int64_t> checked_panel_bytes(GgmlType type, std::int64_t n, std::int64_t k) {
  constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max() / 4096;
  if (n <= 0 || k <= 0 || n > kLargest || k > kLargest) return std::nullopt;
  if (k % static_cast<std::int64_t>(block_size(type).values) != 0) return std::nullopt;
  const PanelExtents extents = extents_of(type, n, k);
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(extents.panels, extents.bytes, &bytes)) return std::nullopt;
  return bytes;
}

bool panels_keep(GgmlType type) { return type != GgmlType::f32 && type != GgmlType::f16; }

void unpack_stored(GgmlType type, std::span<const std::byte> panels, std::int64_t n, std::int64_t k,
                   std::int64_t first, std::int64_t count, std::span<std::byte> rows) {
  const TakeRow take = take_row_of(type);
  const PanelExtents extents = extents_of(type, n, k);
  const GgmlBlockSize block = block_size(type);
  const std::int64_t row_bytes =
      k / static_cast<std::int64_t>(block.values) * static_cast<std::int64_t>(block.bytes);
  R1_CHECK(std::ssize(panels) == extents.panels * extents.bytes &&
               std::ssize(rows) == count * row_bytes && first >= 0 && first + count <= n,
           "{}: rows {} to {} of {} x {} in {} bytes out of {}", name_of(type), first,
           first + count, n, k, rows.size(), panels.size());
  std::byte* to = rows.data();
  for (std::int64_t row = first; row < first + count; ++row, to += row_bytes) {
    take(panels.data() + row / kPanelWidth * extents.bytes, row % kPanelWidth, k, to);
  }
}

}  // namespace r1
