#include "backend/fp8_panels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace r1 {
namespace {

// Scales with which no product of a code can leave the range of normal numbers.
constexpr float kSmallestScale = 0x1p-100f, kLargestScale = 0x1p100f;

constexpr std::uint8_t kExponent = 0xF0, kNan = 0xF7;  // of panel codes
constexpr std::uint8_t kSignBit = 0x08;

// Codes of 16 rows and 32 k, re-ordered; those beyond the matrix are zeros.
struct Block {
  std::uint8_t codes[kBf16KBlock * kPanelWidth] = {};

  void set_row(std::int64_t column, const std::byte* from, std::int64_t count) {
    std::uint8_t row[kBf16KBlock] = {};
    std::memcpy(row, from, static_cast<std::size_t>(count));
    for (std::uint8_t& code : row) code = fp8_panel_code(code);
    std::uint8_t* to = codes + column / 4 * 16 + column % 4 * 2;
    for (std::int64_t pair = 0; pair < kBf16KBlock / 2; ++pair) {
      std::memcpy(to + pair / 2 * kFp8SquareBytes + pair % 2 * 8, row + 2 * pair, 2);
    }
  }

  Fp8Kind kind() const {
    bool subnormal = false, nan = false;
    for (const std::uint8_t code : codes) {
      subnormal |= (code & kExponent) == 0;
      nan |= (code & ~kSignBit) == kNan;
    }
    return nan ? Fp8Kind::any : subnormal ? Fp8Kind::subnormals : Fp8Kind::normal;
  }
};

}  // namespace

void pack_fp8_panels(const Fp8Matrix& matrix, std::int64_t first_panel, std::int64_t last_panel,
                     std::byte* panels) {
  const std::int64_t n = matrix.n, k = matrix.k;
  R1_CHECK(std::ssize(matrix.codes) == n * k &&
               std::ssize(matrix.scales) == fp8_blocks_of(n) * fp8_blocks_of(k),
           "{} x {} in {} codes and {} scales", n, k, matrix.codes.size(), matrix.scales.size());
  for (std::int64_t panel = first_panel; panel < last_panel; ++panel) {
    std::byte* const header = panels + panel * fp8_panel_bytes(k);
    std::byte* const codes = header + fp8_header_bytes(k);
    const std::int64_t row = panel * kPanelWidth, rows = std::min(kPanelWidth, n - row);
    std::memset(header, 0, static_cast<std::size_t>(fp8_header_bytes(k)));
    for (std::int64_t first = 0; first < k; first += kFp8Block) {
      Fp8Chunk chunk{matrix.scale(row, first), {}};
      const float size = std::abs(chunk.scale);
      const bool moderate = size >= kSmallestScale && size <= kLargestScale;
      for (std::int64_t p = first; p < std::min(k, first + kFp8Block); p += kBf16KBlock) {
        Block block;
        const std::int64_t count = std::min(kBf16KBlock, k - p);
        for (std::int64_t column = 0; column < rows; ++column) {
          block.set_row(column, matrix.codes.data() + (row + column) * k + p, count);
        }
        chunk.kinds[p % kFp8Block / kBf16KBlock] = moderate ? block.kind() : Fp8Kind::any;
        std::memcpy(codes + p * kPanelWidth, block.codes, sizeof block.codes);
      }
      std::memcpy(header + first / kFp8Block * std::int64_t{sizeof chunk}, &chunk, sizeof chunk);
    }
  }
}

}  // namespace r1
