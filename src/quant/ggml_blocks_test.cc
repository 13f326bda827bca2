#include "quant/ggml_blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "base/rng.h"

namespace r1 {
namespace {

using Bytes = std::vector<std::uint8_t>;

// ---- A second decoder, from the format's description, over bytes and in double ----

double half_at(const Bytes& block, std::size_t at) {
  const unsigned bits = block[at] | block[at + 1] << 8;
  const double sign = bits >> 15 != 0 ? -1 : 1;
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  if (exponent == 31) return fraction != 0 ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

std::vector<double> decode_q8_0(const Bytes& block) {
  std::vector<double> values;
  for (std::size_t i = 0; i < 32; ++i) {
    const int q = block[2 + i] < 128 ? block[2 + i] : block[2 + i] - 256;
    values.push_back(half_at(block, 0) * q);
  }
  return values;
}

std::vector<double> decode_q4_0(const Bytes& block) {
  std::vector<double> values;
  for (std::size_t i = 0; i < 32; ++i) {
    const int n = i < 16 ? block[2 + i] % 16 : block[2 + i - 16] / 16;
    values.push_back(half_at(block, 0) * (n - 8));
  }
  return values;
}

// The j-th pair of 6-bit scale and minimum of the 12 bytes from `at`.
std::pair<int, int> scale_pair(const Bytes& block, std::size_t at, std::size_t j) {
  const auto s = [&](std::size_t i) { return static_cast<int>(block[at + i]); };
  if (j < 4) return {s(j) & 63, s(j + 4) & 63};
  return {(s(j + 4) & 15) + 16 * (s(j - 4) >> 6), (s(j + 4) >> 4) + 16 * (s(j) >> 6)};
}

// Q4_K, and Q5_K where `fifth_bits` is the place of those bits.
std::vector<double> decode_affine(const Bytes& block, std::size_t nibbles, std::size_t fifth_bits) {
  std::vector<double> values(256);
  for (std::size_t g = 0; g < 4; ++g) {
    for (std::size_t l = 0; l < 32; ++l) {
      int low = block[nibbles + 32 * g + l] & 15, high = block[nibbles + 32 * g + l] >> 4;
      if (fifth_bits != 0) {
        low += (block[fifth_bits + l] & 1 << (2 * g)) != 0 ? 16 : 0;
        high += (block[fifth_bits + l] & 1 << (2 * g + 1)) != 0 ? 16 : 0;
      }
      const auto [low_scale, low_minimum] = scale_pair(block, 4, 2 * g);
      const auto [high_scale, high_minimum] = scale_pair(block, 4, 2 * g + 1);
      const double d = half_at(block, 0), dmin = half_at(block, 2);
      values[64 * g + l] = d * low_scale * low - dmin * low_minimum;
      values[64 * g + 32 + l] = d * high_scale * high - dmin * high_minimum;
    }
  }
  return values;
}

std::vector<double> decode_q4_k(const Bytes& block) { return decode_affine(block, 16, 0); }
std::vector<double> decode_q5_k(const Bytes& block) { return decode_affine(block, 48, 16); }

std::vector<double> decode_q6_k(const Bytes& block) {
  std::vector<double> values(256);
  const double d = half_at(block, 208);
  const auto scale = [&](std::size_t i) {
    return block[192 + i] < 128 ? block[192 + i] : block[192 + i] - 256;
  };
  for (std::size_t h = 0; h < 2; ++h) {
    for (std::size_t l = 0; l < 32; ++l) {
      const int a = block[64 * h + l], b = block[64 * h + 32 + l], c = block[128 + 32 * h + l];
      const std::size_t i = 8 * h + l / 16;
      double* out = values.data() + 128 * h + l;
      out[0] = d * scale(i) * (((a & 15) | (c & 3) << 4) - 32);
      out[32] = d * scale(i + 2) * (((b & 15) | (c >> 2 & 3) << 4) - 32);
      out[64] = d * scale(i + 4) * (((a >> 4) | (c >> 4 & 3) << 4) - 32);
      out[96] = d * scale(i + 6) * (((b >> 4) | (c >> 6 & 3) << 4) - 32);
    }
  }
  return values;
}

struct Format {
  GgmlType type;
  std::function<std::vector<double>(const Bytes&)> decode;
};

const std::vector<Format>& formats() {
  static const std::vector<Format> kFormats = {{GgmlType::q8_0, decode_q8_0},
                                               {GgmlType::q4_0, decode_q4_0},
                                               {GgmlType::q4_k, decode_q4_k},
                                               {GgmlType::q5_k, decode_q5_k},
                                               {GgmlType::q6_k, decode_q6_k}};
  return kFormats;
}

std::vector<float> decode(GgmlType type, const Bytes& bytes) {
  const GgmlBlockSize block = block_size(type);
  std::vector<float> values(bytes.size() / block.bytes * block.values);
  dequantize(type, std::as_bytes(std::span(bytes)), values);
  return values;
}

TEST(GgmlBlocks, RandomBlocksDecodeLikeTheDescription) {
  for (const Format& format : formats()) {
    Rng rng(1, static_cast<std::uint32_t>(format.type));
    for (int round = 0; round < 2000; ++round) {
      Bytes block(block_size(format.type).bytes);
      for (std::uint8_t& byte : block) byte = static_cast<std::uint8_t>(rng.below(256));
      const std::vector<double> expected = format.decode(block);
      const std::vector<float> actual = decode(format.type, block);
      ASSERT_EQ(actual.size(), expected.size());
      for (std::size_t i = 0; i < actual.size(); ++i) {
        if (std::isnan(expected[i])) {
          ASSERT_TRUE(std::isnan(actual[i])) << name_of(format.type) << " " << i;
        } else {
          ASSERT_EQ(std::bit_cast<std::uint32_t>(actual[i]),
                    std::bit_cast<std::uint32_t>(static_cast<float>(expected[i])))
              << name_of(format.type) << " value " << i << ": " << actual[i] << ", expected "
              << expected[i];
        }
      }
    }
  }
}

TEST(GgmlBlocks, UnalignedAndSeveralBlocks) {
  Rng rng(2);
  for (const Format& format : formats()) {
    const std::size_t size = block_size(format.type).bytes;
    Bytes bytes(3 * size + 1);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(rng.below(120));
    std::vector<float> all(3 * block_size(format.type).values);
    dequantize(format.type, std::as_bytes(std::span(bytes)).subspan(1), all);
    std::vector<float> expected;
    for (std::size_t i = 0; i < 3; ++i) {
      const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(1 + i * size);
      for (const double value : format.decode(Bytes(begin, begin + static_cast<int>(size)))) {
        expected.push_back(static_cast<float>(value));
      }
    }
    EXPECT_EQ(all, expected) << name_of(format.type);
  }
}

TEST(GgmlBlocks, HandMadeQ8_0) {
  Bytes block(34, 0);
  block[1] = 0x38;  // d = 0.5
  block[2] = 3;
  block[3] = 0xFF;
  block[33] = 0x80;
  const std::vector<float> values = decode(GgmlType::q8_0, block);
  EXPECT_EQ(values[0], 1.5f);
  EXPECT_EQ(values[1], -0.5f);
  EXPECT_EQ(values[2], 0.0f);
  EXPECT_EQ(values[31], -64.0f);
}

TEST(GgmlBlocks, HandMadeQ4_0) {
  Bytes block(18, 0x88);
  block[0] = 0;
  block[1] = 0xC0;  // d = -2
  block[2] = 0xF0;  // element 0 has 0, element 16 has 15
  const std::vector<float> values = decode(GgmlType::q4_0, block);
  EXPECT_EQ(values[0], 16.0f);
  EXPECT_EQ(values[16], -14.0f);
  EXPECT_EQ(std::abs(values[1]), 0.0f);
}

TEST(GgmlBlocks, HandMadeQ4_K) {
  Bytes block(144, 0);
  block[1] = 0x3C;         // d = 1
  block[3] = 0x38;         // dmin = 0.5
  block[4] = 2 | 1 << 6;   // scale of group 0 is 2, and the top bits of group 4's
  block[8] = 6;            // minimum of group 0
  block[12] = 5 | 3 << 4;  // low bits of group 4: scale 5 + 16 = 21, minimum 3
  block[16] = 7 | 9 << 4;  // n of element 0 (group 0) and element 32 (group 1, scale 0)
  block[16 + 64] = 4;      // n of element 128, the first of group 4
  const std::vector<float> values = decode(GgmlType::q4_k, block);
  EXPECT_EQ(values[0], 2 * 7 - 3.0f);
  EXPECT_EQ(values[1], -3.0f);
  EXPECT_EQ(values[32], 0.0f);
  EXPECT_EQ(values[128], 21 * 4 - 1.5f);
  EXPECT_EQ(values[129], -1.5f);
}

TEST(GgmlBlocks, HandMadeQ5_K) {
  Bytes block(176, 0);
  block[1] = 0x3C;           // d = 1
  block[4 + 3] = 3;          // scale of group 3
  block[16 + 5] = 1 << 3;    // the top bit of element 5 of group 3
  block[48 + 37] = 10 << 4;  // the low bits of element 37 of groups 2 and 3's 64, so 5 of group 3
  const std::vector<float> values = decode(GgmlType::q5_k, block);
  EXPECT_EQ(values[3 * 32 + 5], 3 * 26.0f);
  EXPECT_EQ(values[3 * 32 + 6], 0.0f);
}

TEST(GgmlBlocks, HandMadeQ6_K) {
  Bytes block(210, 0);
  block[209] = 0x3C;              // d = 1
  block[192 + 8 + 7] = 0xFD;      // scale of the last 16 elements: -3
  block[64 + 32 + 31] = 0xA0;     // the last element's low bits: 10
  block[128 + 32 + 31] = 2 << 6;  // and high bits: n = 42
  block[192] = 1;
  const std::vector<float> values = decode(GgmlType::q6_k, block);
  EXPECT_EQ(values[255], -3.0f * 10);
  EXPECT_EQ(values[254], -3.0f * -32);
  EXPECT_EQ(values[0], -32.0f);
  EXPECT_EQ(std::abs(values[16]), 0.0f);
}

TEST(GgmlBlocks, ScalesArePackedAndUnpacked) {
  Rng rng(3);
  for (int round = 0; round < 1000; ++round) {
    std::array<std::uint8_t, 8> scales, minima;
    for (std::size_t j = 0; j < 8; ++j) {
      scales[j] = static_cast<std::uint8_t>(rng.below(64));
      minima[j] = static_cast<std::uint8_t>(rng.below(64));
    }
    const KScales packed = pack_scales(scales, minima);
    const Bytes bytes(packed.bytes.begin(), packed.bytes.end());
    for (std::size_t j = 0; j < 8; ++j) {
      EXPECT_EQ(packed.scale(j), scales[j]);
      EXPECT_EQ(packed.minimum(j), minima[j]);
      EXPECT_EQ(scale_pair(bytes, 0, j), (std::pair<int, int>(scales[j], minima[j])));
    }
  }
}

TEST(GgmlBlocks, PlainTypesKeepEveryPattern) {
  std::vector<std::uint16_t> patterns(65536);
  for (std::size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<std::uint16_t>(i);
  std::vector<float> values(patterns.size());
  dequantize(GgmlType::bf16, std::as_bytes(std::span(patterns)), values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]), i << 16);
  }
  dequantize(GgmlType::f16, std::as_bytes(std::span(patterns)), values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double expected =
        half_at({static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i >> 8)}, 0);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(values[i]));
    } else {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]),
                std::bit_cast<std::uint32_t>(static_cast<float>(expected)));
    }
  }
  std::vector<float> copy(values.size());
  dequantize(GgmlType::f32, std::as_bytes(std::span(values)), copy);
  EXPECT_EQ(std::memcmp(copy.data(), values.data(), values.size() * sizeof(float)), 0);
}

TEST(GgmlBlocksDeath, SizesMustFit) {
  std::vector<float> values(256);
  const Bytes bytes(210);
  const auto blocks = std::as_bytes(std::span(bytes));
  EXPECT_DEATH(dequantize(GgmlType::q6_k, blocks.first(209), values), "Q6_K: 256 values, 209");
  EXPECT_DEATH(dequantize(GgmlType::q6_k, blocks, std::span(values).first(255)), "255 values");
  EXPECT_DEATH(dequantize(GgmlType::q8_0, blocks.first(34), std::span(values).first(31)), "Q8_0");
}

}  // namespace
}  // namespace r1
