#include "backend/quantized_panels.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "quant/ggml_blocks.h"

namespace r1 {
namespace {

using Words = std::array<std::uint32_t, kQuads>;  // of a group: four codes each, in order of k

constexpr std::uint32_t kLowHalves = 0x0F0F0F0Fu;

template <typename Bytes>
std::uint32_t word_at(const Bytes& bytes, std::size_t word) {
  std::uint32_t value;
  std::memcpy(&value, bytes.data() + 4 * word, sizeof value);
  return value;
}

void put_word(std::byte* codes, std::size_t row, std::int64_t column, std::uint32_t word) {
  std::memcpy(codes + static_cast<std::int64_t>(row) * kWordRow + column * 4, &word, sizeof word);
}

void put_nibbles(std::byte* codes, std::int64_t column, const Words& words) {
  for (std::size_t q = 0; q < 4; ++q) put_word(codes, q, column, words[q] | words[q + 4] << 4);
}

void put_block(const BlockQ8_0& block, std::size_t group, std::int64_t column, ChunkQ8_0& chunk) {
  chunk.d[group][column] = block.d;
  for (std::size_t q = 0; q < kQuads; ++q) {
    put_word(chunk.codes[group], q, column, word_at(block.q, q) ^ 0x80808080u);
  }
}

void put_block(const BlockQ4_0& block, std::size_t group, std::int64_t column, ChunkQ4_0& chunk) {
  chunk.d[group][column] = block.d;
  // The block's low halves are its first 16 values: quads 0 to 3 already lie where they belong.
  for (std::size_t q = 0; q < 4; ++q) {
    put_word(chunk.codes[group], q, column, word_at(block.nibbles, q));
  }
}

template <typename Block, typename Chunk>
void put_scales(const Block& block, std::int64_t column, Chunk& chunk) {
  chunk.d[column] = block.d;
  chunk.dmin[column] = block.dmin;
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    chunk.scales[group][column] = block.scales.scale(group);
    chunk.minima[group][column] = block.scales.minimum(group);
  }
}

template <typename Block>
Words nibbles_of(const Block& block, std::size_t group) {
  Words words;
  for (std::size_t q = 0; q < kQuads; ++q) {
    words[q] = word_at(block.nibbles, group / 2 * kQuads + q) >> (group % 2 * 4) & kLowHalves;
  }
  return words;
}

void put_block(const BlockQ4K& block, std::size_t, std::int64_t column, ChunkQ4K& chunk) {
  put_scales(block, column, chunk);
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    put_nibbles(chunk.codes[group], column, nibbles_of(block, group));
  }
}

void put_block(const BlockQ5K& block, std::size_t, std::int64_t column, ChunkQ5K& chunk) {
  put_scales(block, column, chunk);
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    put_nibbles(chunk.codes[group], column, nibbles_of(block, group));
    std::uint32_t high = 0;
    for (std::size_t q = 0; q < kQuads; ++q) {
      high |= (word_at(block.high_bits, q) >> group & 0x01010101u) << q;
    }
    put_word(chunk.codes[group], 4, column, high);
  }
}

void put_block(const BlockQ6K& block, std::size_t, std::int64_t column, ChunkQ6K& chunk) {
  chunk.d[column] = block.d;
  for (std::size_t group = 0; group < ChunkQ6K::kGroups; ++group) {
    chunk.scales[group][0][column] = block.scales[2 * group];
    chunk.scales[group][1][column] = block.scales[2 * group + 1];
    const std::size_t half = group / 4, quarter = group % 4;
    Words low;
    std::uint32_t high[2] = {0, 0};
    for (std::size_t q = 0; q < kQuads; ++q) {
      const std::uint32_t nibbles = word_at(block.low, 16 * half + 8 * (quarter % 2) + q);
      low[q] = nibbles >> (quarter / 2 * 4) & kLowHalves;
      const std::uint32_t top = word_at(block.high, 8 * half + q) >> (2 * quarter) & 0x03030303u;
      high[q / 4] |= top << (2 * (q % 4));
    }
    put_nibbles(chunk.codes[group], column, low);
    put_word(chunk.codes[group], 4, column, high[0]);
    put_word(chunk.codes[group], 5, column, high[1]);
  }
}

template <typename Block, typename Chunk>
void pack_panel(const std::byte* rows, std::int64_t row_bytes, std::int64_t columns, std::int64_t k,
                std::byte* panel) {
  constexpr std::int64_t kBlock = Block::kValues, kChunk = Chunk::kGroups * kQuantizedGroup;
  constexpr std::int64_t kBlocks = kChunk / kBlock;  // of a row in a chunk
  for (std::int64_t first = 0; first < k; first += kChunk, panel += sizeof(Chunk)) {
    Chunk chunk{};
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::byte* from = rows + column * row_bytes;
      for (std::int64_t b = 0; b < kBlocks && first + b * kBlock < k; ++b) {
        Block block;
        std::memcpy(&block, from + (first / kBlock + b) * std::int64_t{sizeof block}, sizeof block);
        put_block(block, static_cast<std::size_t>(b), column, chunk);
      }
    }
    std::memcpy(panel, &chunk, sizeof chunk);
  }
}

template <typename Block, typename Chunk>
void pack_panels(GgmlType type, std::span<const std::byte> rows, std::int64_t n, std::int64_t k,
                 std::int64_t first_panel, std::int64_t last_panel, std::byte* panels) {
  const std::int64_t row_bytes = k / std::int64_t{Block::kValues} * std::int64_t{sizeof(Block)};
  R1_CHECK(k % std::int64_t{Block::kValues} == 0 &&
               static_cast<std::int64_t>(rows.size()) == n * row_bytes,
           "{}: {} x {} in {} bytes", name_of(type), n, k, rows.size());
  const std::int64_t bytes = quantized_panel_bytes(type, k);
  for (std::int64_t panel = first_panel; panel < last_panel; ++panel) {
    const std::int64_t first = std::min(panel * kPanelWidth, n);
    pack_panel<Block, Chunk>(rows.data() + first * row_bytes, row_bytes,
                             std::min(kPanelWidth, n - first), k, panels + panel * bytes);
  }
}

template <typename Chunk>
constexpr QuantizedChunk kChunkOf = {Chunk::kGroups* kQuantizedGroup, sizeof(Chunk)};

}  // namespace

bool has_quantized_panels(GgmlType type) { return block_size(type).values > 1; }

QuantizedChunk quantized_chunk(GgmlType type) {
  switch (type) {
    case GgmlType::q8_0:
      return kChunkOf<ChunkQ8_0>;
    case GgmlType::q4_0:
      return kChunkOf<ChunkQ4_0>;
    case GgmlType::q4_k:
      return kChunkOf<ChunkQ4K>;
    case GgmlType::q5_k:
      return kChunkOf<ChunkQ5K>;
    case GgmlType::q6_k:
      return kChunkOf<ChunkQ6K>;
    default:
      R1_CHECK(false, "{} is not quantised", name_of(type));
  }
}

std::int64_t quantized_panel_bytes(GgmlType type, std::int64_t k) {
  const QuantizedChunk chunk = quantized_chunk(type);
  return (k + chunk.k - 1) / chunk.k * chunk.bytes;
}

void pack_quantized(GgmlType type, std::span<const std::byte> rows, std::int64_t n, std::int64_t k,
                    std::int64_t first_panel, std::int64_t last_panel, std::byte* panels) {
  switch (type) {
    case GgmlType::q8_0:
      return pack_panels<BlockQ8_0, ChunkQ8_0>(type, rows, n, k, first_panel, last_panel, panels);
    case GgmlType::q4_0:
      return pack_panels<BlockQ4_0, ChunkQ4_0>(type, rows, n, k, first_panel, last_panel, panels);
    case GgmlType::q4_k:
      return pack_panels<BlockQ4K, ChunkQ4K>(type, rows, n, k, first_panel, last_panel, panels);
    case GgmlType::q5_k:
      return pack_panels<BlockQ5K, ChunkQ5K>(type, rows, n, k, first_panel, last_panel, panels);
    case GgmlType::q6_k:
      return pack_panels<BlockQ6K, ChunkQ6K>(type, rows, n, k, first_panel, last_panel, panels);
    default:
      R1_CHECK(false, "{} is not quantised", name_of(type));
  }
}

}  // namespace r1
