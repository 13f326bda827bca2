#include "backend/quantized_panels.h"

#include <emmintrin.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "base/error.h"
#include "quant/ggml_blocks.h"
#include "tensor/aligned_buffer.h"

namespace r1 {
namespace {

// Of rows of blocks, two words of four codes at a time.
using Pair = std::uint64_t;

constexpr Pair kLowHalves = 0x0F0F0F0F0F0F0F0Fu;

template <typename Bytes>
Pair pair_at(const Bytes& bytes, std::size_t pair) {
  Pair value;
  std::memcpy(&value, bytes.data() + 8 * pair, sizeof value);
  return value;
}

void put_pair(std::byte* words, std::size_t pair, Pair value) {
  std::memcpy(words + 8 * pair, &value, sizeof value);
}

// spread() tells what one block puts into a chunk: its scales, and `words`, the codes of its column
// from the chunk's first to its last row. Of several blocks in a chunk it is the `group`-th.
void spread(const BlockQ8_0& block, std::size_t group, std::int64_t column, ChunkQ8_0& chunk,
            std::byte* words) {
  chunk.d[group][column] = block.d;
  for (std::size_t i = 0; i < 4; ++i) {
    put_pair(words, 4 * group + i, pair_at(block.q, i) ^ 0x8080808080808080u);
  }
}

void spread(const BlockQ4_0& block, std::size_t group, std::int64_t column, ChunkQ4_0& chunk,
            std::byte* words) {
  chunk.d[group][column] = block.d;
  // The block's low halves are its first 16 values: quads 0 to 3 already lie where they belong.
  for (std::size_t i = 0; i < 2; ++i) put_pair(words, 2 * group + i, pair_at(block.nibbles, i));
}

template <typename Block, typename Chunk>
void spread_scales(const Block& block, std::int64_t column, Chunk& chunk) {
  chunk.d[column] = block.d;
  chunk.dmin[column] = block.dmin;
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    chunk.scales[group][column] = block.scales.scale(group);
    chunk.minima[group][column] = block.scales.minimum(group);
  }
}

// A block's 32 bytes from pair `from` on hold one group in their low and one in their high halves.
// Each becomes two pairs: quads 0 to 3 in the low, quads 4 to 7 in the high halves.
template <typename Bytes>
void spread_halves(const Bytes& bytes, std::size_t from, std::byte* low_group,
                   std::byte* high_group) {
  for (std::size_t i = 0; i < 2; ++i) {
    const Pair first = pair_at(bytes, from + i), second = pair_at(bytes, from + 2 + i);
    put_pair(low_group, i, (first & kLowHalves) | (second & kLowHalves) << 4);
    put_pair(high_group, i, (first >> 4 & kLowHalves) | (second & ~kLowHalves));
  }
}

void spread(const BlockQ4K& block, std::size_t, std::int64_t column, ChunkQ4K& chunk,
            std::byte* words) {
  spread_scales(block, column, chunk);
  for (std::size_t p = 0; p < KScales::kGroups / 2; ++p) {
    spread_halves(block.nibbles, 4 * p, words + 32 * p, words + 32 * p + 16);
  }
}

void spread(const BlockQ5K& block, std::size_t, std::int64_t column, ChunkQ5K& chunk,
            std::byte* words) {
  spread_scales(block, column, chunk);
  constexpr std::size_t kGroupBytes = sizeof(chunk.codes[0]) / kPanelWidth;
  for (std::size_t p = 0; p < KScales::kGroups / 2; ++p) {
    std::byte* const even = words + 2 * p * kGroupBytes;
    spread_halves(block.nibbles, 4 * p, even, even + kGroupBytes);
  }
  // Quads 2 i and 2 i + 1 lie in the halves of pair i.
  std::array<Pair, 4> high;
  for (std::size_t i = 0; i < high.size(); ++i) high[i] = pair_at(block.high_bits, i);
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    Pair bits = 0;
    for (std::size_t i = 0; i < high.size(); ++i) {
      bits |= (high[i] >> group & 0x0101010101010101u) << (2 * i);
    }
    const auto word = static_cast<std::uint32_t>(bits | bits >> 31);
    std::memcpy(words + group * kGroupBytes + 16, &word, sizeof word);
  }
}

void spread(const BlockQ6K& block, std::size_t, std::int64_t column, ChunkQ6K& chunk,
            std::byte* words) {
  chunk.d[column] = block.d;
  chunk.padding[column] = {};
  for (std::size_t group = 0; group < ChunkQ6K::kGroups; ++group) {
    chunk.scales[group][0][column] = block.scales[2 * group];
    chunk.scales[group][1][column] = block.scales[2 * group + 1];
  }
  constexpr std::size_t kGroupBytes = sizeof(chunk.codes[0]) / kPanelWidth;
  for (std::size_t half = 0; half < 2; ++half) {
    std::byte* const quarters = words + 4 * half * kGroupBytes;
    for (std::size_t odd = 0; odd < 2; ++odd) {
      spread_halves(block.low, 8 * half + 4 * odd, quarters + odd * kGroupBytes,
                    quarters + (odd + 2) * kGroupBytes);
    }
    // Of quads i and i + 4 together.
    std::array<Pair, 4> high;
    for (std::size_t i = 0; i < 2; ++i) {
      const Pair low = pair_at(block.high, 4 * half + i),
                 up = pair_at(block.high, 4 * half + 2 + i);
      high[2 * i] = (low & 0xFFFFFFFFu) | up << 32;
      high[2 * i + 1] = low >> 32 | (up & ~Pair{0xFFFFFFFFu});
    }
    for (std::size_t quarter = 0; quarter < 4; ++quarter) {
      Pair bits = 0;
      for (std::size_t i = 0; i < high.size(); ++i) {
        bits |= (high[i] >> (2 * quarter) & 0x0303030303030303u) << (2 * i);
      }
      put_pair(quarters + quarter * kGroupBytes + 16, 0, bits);
    }
  }
}

// to [words][16 columns] = from [16 columns][words], in squares of four (SSE2: every x86-64).
void transpose(const std::byte* from, std::int64_t words, std::byte* to) {
  for (std::int64_t word = 0; word < words; word += 4) {
    for (std::int64_t column = 0; column < kPanelWidth; column += 4) {
      __m128i rows[4];
      for (std::int64_t i = 0; i < 4; ++i) {
        rows[i] = _mm_load_si128(
            reinterpret_cast<const __m128i*>(from + ((column + i) * words + word) * 4));
      }
      const __m128i low01 = _mm_unpacklo_epi32(rows[0], rows[1]);
      const __m128i low23 = _mm_unpacklo_epi32(rows[2], rows[3]);
      const __m128i high01 = _mm_unpackhi_epi32(rows[0], rows[1]);
      const __m128i high23 = _mm_unpackhi_epi32(rows[2], rows[3]);
      const __m128i squares[4] = {
          _mm_unpacklo_epi64(low01, low23), _mm_unpackhi_epi64(low01, low23),
          _mm_unpacklo_epi64(high01, high23), _mm_unpackhi_epi64(high01, high23)};
      for (std::int64_t i = 0; i < 4; ++i) {
        _mm_store_si128(reinterpret_cast<__m128i*>(to + (word + i) * kWordRow + column * 4),
                        squares[i]);
      }
    }
  }
}

template <typename Block, typename Chunk>
void pack_panel(const std::byte* rows, std::int64_t row_bytes, std::int64_t columns, std::int64_t k,
                std::byte* panel) {
  constexpr std::int64_t kBlock = Block::kValues, kChunk = Chunk::kGroups * kQuantizedGroup;
  constexpr std::int64_t kBlocks = kChunk / kBlock;  // of a row in a chunk
  constexpr std::int64_t kWords = sizeof(Chunk::codes) / kWordRow;
  static_assert(offsetof(Chunk, codes) + sizeof(Chunk::codes) == sizeof(Chunk) && kWords % 4 == 0);
  alignas(kCacheLine) std::byte words[kPanelWidth][kWords * 4];
  // Few files have blocks at odd addresses.
  const bool is_odd = reinterpret_cast<std::uintptr_t>(rows) % alignof(Block) != 0;
  Block copy{};
  for (std::int64_t first = 0; first < k; first += kChunk, panel += sizeof(Chunk)) {
    Chunk& chunk = *reinterpret_cast<Chunk*>(panel);
    const std::int64_t blocks = std::min(kBlocks, (k - first) / kBlock);
    if (columns < kPanelWidth || blocks < kBlocks) {
      std::memset(panel, 0, offsetof(Chunk, codes));
      std::memset(words, 0, sizeof words);
    }
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::byte* from =
          rows + column * row_bytes + first / kBlock * std::int64_t{sizeof(Block)};
      for (std::int64_t b = 0; b < blocks; ++b, from += sizeof(Block)) {
        const Block* block = reinterpret_cast<const Block*>(from);
        if (is_odd) {
          std::memcpy(&copy, from, sizeof copy);
          block = &copy;
        }
        spread(*block, static_cast<std::size_t>(b), column, chunk, words[column]);
      }
    }
    transpose(&words[0][0], kWords, &chunk.codes[0][0]);
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
