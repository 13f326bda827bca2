#include "quant/fp8_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/thread_pool.h"

namespace r1 {
namespace {

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

TEST(Fp8Blocks, AValueIsCodeTimesScaleRoundedOnce) {
  for (const float scale : {2.3e-4f, 0x1p-12f, 1.0f, -0.37f, 0x1.FFFFFEp-60f}) {
    for (int code = 0; code < 256; ++code) {
      const f8_e4m3 fp8{static_cast<std::uint8_t>(code)};
      const float value = fp8_value(fp8, scale);
      if (std::isnan(to_float(fp8))) {
        EXPECT_TRUE(std::isnan(value));
      } else {
        EXPECT_EQ(bits_of(value), bits_of(to_float(fp8) * scale)) << code;
      }
    }
  }
}

TEST(Fp8Blocks, WhatIsTooSmallIsZeroWhetherTheMachineFlushesOrNot) {
  const f8_e4m3 smallest{0x01}, largest{0x7E}, negative{0x81};  // 2^-9, 448, -2^-9
  const auto check = [&] {
    EXPECT_EQ(bits_of(fp8_value(largest, 1e-39f)), 0u);
    EXPECT_EQ(bits_of(fp8_value(smallest, 0x1.8p-118f)), 0u);
    EXPECT_EQ(bits_of(fp8_value(negative, 0x1.8p-118f)), 0x80000000u);
    EXPECT_EQ(bits_of(fp8_value(smallest, 0x1p-117f)), 0x00800000u);
    EXPECT_EQ(fp8_value(largest, 1e38f), INFINITY);
    EXPECT_TRUE(std::isnan(fp8_value({0x00}, INFINITY)));
  };
  check();
  const FlushDenormals flush;
  check();
}

TEST(Fp8Blocks, AnEdgeBlockHasItsOwnScale) {
  const std::int64_t n = 130, k = 257;
  std::vector<std::byte> codes(static_cast<std::size_t>(n * k), std::byte{0x38});  // ones
  const std::vector<float> scales = {1, 2, 3, 4, 5, 6};
  std::vector<float> row(static_cast<std::size_t>(k));
  decode_fp8({n, k, codes, scales}, 129, row);
  EXPECT_EQ(row[127], 4.0f);
  EXPECT_EQ(row[128], 5.0f);
  EXPECT_EQ(row[256], 6.0f);
  decode_fp8({n, k, codes, scales}, 127, row);
  EXPECT_EQ(row[256], 3.0f);
}

TEST(Fp8Blocks, TheTableIsEveryValueRounded) {
  bf16 table[256];
  fp8_table(3.1e-4f, table);
  for (int code = 0; code < 256; ++code) {
    const float value = fp8_value({static_cast<std::uint8_t>(code)}, 3.1e-4f);
    EXPECT_EQ(table[code], round_to_bf16(value));
  }
}

}  // namespace
}  // namespace r1
