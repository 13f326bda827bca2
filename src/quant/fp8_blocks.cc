#include "quant/fp8_blocks.h"

#include <bit>
#include <cmath>

#include "base/error.h"

namespace r1 {
namespace {

constexpr std::uint32_t kSign = 0x80000000u, kSmallestNormal = 0x00800000u;

}  // namespace

float fp8_value(f8_e4m3 code, float scale) {
  const auto bits = std::bit_cast<std::uint32_t>(scale);
  if ((bits & ~kSign) < kSmallestNormal) scale = std::bit_cast<float>(bits & kSign);
  // Exact, and no denormal in double precision.
  const double product = double{to_float(code)} * double{scale};
  if (std::abs(product) < 0x1p-126) return std::signbit(product) ? -0.0f : 0.0f;
  return static_cast<float>(product);
}

void fp8_table(float scale, bf16* table) {
  for (int code = 0; code < 256; ++code) {
    table[code] = round_to_bf16(fp8_value({static_cast<std::uint8_t>(code)}, scale));
  }
}

void decode_fp8(const Fp8Matrix& matrix, std::int64_t first, std::span<float> out) {
  const std::int64_t k = matrix.k, rows = k == 0 ? 0 : static_cast<std::int64_t>(out.size()) / k;
  R1_CHECK(first >= 0 && first + rows <= matrix.n && rows * k == std::ssize(out),
           "rows {} + {} of {} x {}", first, rows, matrix.n, k);
  for (std::int64_t row = 0; row < rows; ++row) {
    float* to = out.data() + row * k;
    for (std::int64_t column = 0; column < k; ++column) {
      to[column] = fp8_value(matrix.code(first + row, column), matrix.scale(first + row, column));
    }
  }
}

}  // namespace r1
