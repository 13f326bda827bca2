#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backend/gemm_kernels.h"
#include "quant/ggml_type.h"
#include "tensor/f16.h"

// Quantised weights W [n, k] as the right-hand factor of y = x W^T, in panels of kPanelWidth rows
// of W (columns of the product), the last ones padded with zeros so that their number is even. A
// panel is a run of chunks of k; each holds the blocks' numbers of 16 rows, re-ordered so that the
// product reads them in one stream, but not changed: a value is
//   scale * (code - offset) - minimum,
// the same number that the block decodes to (quant/ggml_blocks.h).
namespace r1 {

// Values of k that share one scale of the activations; the blocks' own groups are as long, or half
// as long (Q6_K).
inline constexpr std::int64_t kQuantizedGroup = 32;
inline constexpr std::int64_t kQuads = kQuantizedGroup / 4;  // four neighbouring k, one 32-bit word

// Codes of a group in a panel: words [quads][16 columns] of four codes, or two of such words
// (quad q in the low, quad q + 4 in the high halves of the bytes).
inline constexpr std::int64_t kWordRow = kPanelWidth * 4;  // bytes
inline constexpr std::int64_t kByteCodes = kQuads * kWordRow;
inline constexpr std::int64_t kNibbleCodes = kByteCodes / 2;

// A chunk of Q8_0 or Q4_0: two groups.
template <std::int64_t kCodeBytes>
struct PlainChunk {
  static constexpr std::int64_t kGroups = 2;
  f16 d[kGroups][kPanelWidth];
  std::byte codes[kGroups][kCodeBytes];
};
using ChunkQ8_0 = PlainChunk<kByteCodes>;    // codes are q + 128
using ChunkQ4_0 = PlainChunk<kNibbleCodes>;  // codes are n
static_assert(sizeof(ChunkQ8_0) == 1088 && sizeof(ChunkQ4_0) == 576);

// A chunk of a K format: one block of each row, eight groups.
struct ChunkQ4K {
  static constexpr std::int64_t kGroups = 8;
  f16 d[kPanelWidth], dmin[kPanelWidth];
  std::uint8_t scales[kGroups][kPanelWidth], minima[kGroups][kPanelWidth];
  std::byte codes[kGroups][kNibbleCodes];
};
static_assert(sizeof(ChunkQ4K) == 2368);

// After the nibbles of a group its high bits: bit q of byte 4 c + i is that of quad q's code i in
// column c.
struct ChunkQ5K {
  static constexpr std::int64_t kGroups = 8;
  f16 d[kPanelWidth], dmin[kPanelWidth];
  std::uint8_t scales[kGroups][kPanelWidth], minima[kGroups][kPanelWidth];
  std::byte codes[kGroups][kNibbleCodes + kWordRow];
};
static_assert(sizeof(ChunkQ5K) == 2880);

// Two scales a group, of 16 values each. After the nibbles two rows of words with the high bits:
// bits 2 (q % 4) and above of row q / 4 are those of quad q.
struct ChunkQ6K {
  static constexpr std::int64_t kGroups = 8;
  f16 d[kPanelWidth], padding[kPanelWidth];
  std::int8_t scales[kGroups][2][kPanelWidth];
  std::byte codes[kGroups][kNibbleCodes + 2 * kWordRow];
};
static_assert(sizeof(ChunkQ6K) == 3392);

// Whether products read this type from such panels; the plain types have panels of their own.
bool has_quantized_panels(GgmlType type);

struct QuantizedChunk {
  std::int64_t k, bytes;
};
QuantizedChunk quantized_chunk(GgmlType type);

// Bytes of one panel, and the even number of panels.
std::int64_t quantized_panel_bytes(GgmlType type, std::int64_t k);
inline std::int64_t quantized_panels_of(std::int64_t n) { return (panels_of(n) + 1) / 2 * 2; }

// What is subtracted from codes.
constexpr int code_offset(GgmlType type) {
  return type == GgmlType::q8_0   ? 128
         : type == GgmlType::q4_0 ? 8
         : type == GgmlType::q6_k ? 32
                                  : 0;
}

// Panels [first, last) from the rows of W as a file has them, each k / block values * block bytes.
// `k` is a whole number of blocks. `panels` points at panel 0.
void pack_quantized(GgmlType type, std::span<const std::byte> rows, std::int64_t n, std::int64_t k,
                    std::int64_t first_panel, std::int64_t last_panel, std::byte* panels);

}  // namespace r1
