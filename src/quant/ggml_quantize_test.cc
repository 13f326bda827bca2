#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "quant/ggml_blocks.h"

namespace r1 {
namespace {

using testing::HasSubstr;

constexpr GgmlType kBlockTypes[] = {GgmlType::q8_0, GgmlType::q4_0, GgmlType::q4_k, GgmlType::q5_k,
                                    GgmlType::q6_k};
constexpr GgmlType kKTypes[] = {GgmlType::q4_k, GgmlType::q5_k, GgmlType::q6_k};

std::vector<std::byte> encode(GgmlType type, std::span<const float> values) {
  const GgmlBlockSize block = block_size(type);
  std::vector<std::byte> bytes(values.size() / block.values * block.bytes);
  quantize(type, values, bytes, "w");
  return bytes;
}

std::vector<float> decode(GgmlType type, std::span<const std::byte> bytes) {
  const GgmlBlockSize block = block_size(type);
  std::vector<float> values(bytes.size() / block.bytes * block.values);
  dequantize(type, bytes, values);
  return values;
}

std::vector<float> round_trip(GgmlType type, std::span<const float> values) {
  return decode(type, encode(type, values));
}

std::vector<float> normal_values(std::size_t count, float deviation, std::uint32_t seed) {
  Rng rng(seed);
  std::vector<float> values(count);
  for (float& value : values) value = deviation * rng.normal();
  return values;
}

double squared_error(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += (a[i] - b[i]) * static_cast<double>(a[i] - b[i]);
  return sum;
}

double relative_error(std::span<const float> values, std::span<const float> decoded) {
  double norm = 0;
  for (const float value : values) norm += static_cast<double>(value) * value;
  return std::sqrt(squared_error(values, decoded) / norm);
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(GgmlQuantize, Q8_0RoundsHalvesAwayFromZero) {
  std::array<float, 32> values{};
  values[0] = 127;  // d = 1
  values[1] = 0.5f;
  values[2] = -0.5f;
  values[3] = 2.5f;
  values[4] = -2.5f;
  values[5] = 2.49f;
  values[6] = -127;
  const BlockQ8_0 block = quantize_q8_0(values);
  EXPECT_EQ(block.d.bits, 0x3C00);
  EXPECT_THAT(std::span(block.q).first(8), testing::ElementsAre(127, 1, -1, 3, -3, 2, -127, 0));
}

TEST(GgmlQuantize, Q4_0GivesTheExtremeTheCodeZero) {
  std::array<float, 32> values{};
  values[0] = 8;  // the first of the largest magnitude: d = -1
  values[1] = -8;
  values[2] = 0.5f;
  values[3] = -0.5f;
  values[16] = 3.4f;
  values[31] = -7;
  const BlockQ4_0 block = quantize_q4_0(values);
  EXPECT_EQ(block.d.bits, 0xBC00);
  EXPECT_EQ(block.nibbles[0], 0 | 5 << 4);   // 8 - 8; trunc(8.5 - 3.4)
  EXPECT_EQ(block.nibbles[1], 15 | 8 << 4);  // 16 is out of reach
  EXPECT_EQ(block.nibbles[2], 8 | 8 << 4);
  EXPECT_EQ(block.nibbles[3], 9 | 8 << 4);
  EXPECT_EQ(block.nibbles[15], 8 | 15 << 4);
}

TEST(GgmlQuantize, EveryQ8_0AndQ4_0ValueIsWithinItsStep) {
  for (const float deviation : {1e-4f, 0.02f, 1.0f, 3000.0f}) {
    const std::vector<float> values = normal_values(32 * 500, deviation, 5);
    const std::vector<float> q8 = round_trip(GgmlType::q8_0, values);
    const std::vector<float> q4 = round_trip(GgmlType::q4_0, values);
    for (std::size_t begin = 0; begin < values.size(); begin += 32) {
      float largest = 0;
      for (std::size_t i = 0; i < 32; ++i) largest = std::max(largest, std::abs(values[begin + i]));
      // The step itself is rounded to a half: by 2^-11 of itself, or 2^-25 for the smallest.
      const float q8_slack = std::max(largest / 2048, 127 * 0x1p-25f);
      const float q4_slack = std::max(largest / 2048, 8 * 0x1p-25f);
      for (std::size_t i = begin; i < begin + 32; ++i) {
        ASSERT_LE(std::abs(q8[i] - values[i]), largest / 127 * 0.5001f + q8_slack);
        ASSERT_LE(std::abs(q4[i] - values[i]), largest / 8 * 1.0001f + q4_slack);
      }
    }
  }
}

// The straightforward choice: scales from the extremes of each group, no search.
std::vector<float> without_search(GgmlType type, std::span<const float> block) {
  std::vector<float> decoded(block.size());
  const std::size_t size = type == GgmlType::q6_k ? 16 : 32;
  const float top = type == GgmlType::q4_k ? 15 : 31;
  std::vector<float> steps, minima;
  for (std::size_t begin = 0; begin < block.size(); begin += size) {
    const auto [low, high] = std::ranges::minmax(block.subspan(begin, size));
    const float minimum = type == GgmlType::q6_k ? 0 : std::max(0.0f, -low);
    minima.push_back(minimum);
    steps.push_back(type == GgmlType::q6_k ? std::max(-low, high) / 31 : (high + minimum) / top);
  }
  const float codes = type == GgmlType::q6_k ? 127 : 63;
  const float d = to_float(round_to_f16(std::ranges::max(steps) / codes));
  const float dmin = to_float(round_to_f16(std::ranges::max(minima) / 63));
  for (std::size_t i = 0; i < block.size(); ++i) {
    const float step = d * std::round(steps[i / size] / d);
    const float minimum = dmin == 0 ? 0 : dmin * std::round(minima[i / size] / dmin);
    const float low = type == GgmlType::q6_k ? -32 : 0;
    const float n = step == 0 ? 0 : std::clamp(std::round((block[i] + minimum) / step), low, top);
    decoded[i] = step * n - minimum;
  }
  return decoded;
}

TEST(GgmlQuantize, TheSearchBeatsScalesFromTheExtremes) {
  struct Expected {
    GgmlType type;
    double relative;  // root mean square error of normal values, over their deviation
    double gain;      // squared error over that without a search
  };
  for (const auto& [type, relative, gain] :
       {Expected{GgmlType::q4_k, 0.072, 0.85}, Expected{GgmlType::q5_k, 0.036, 0.90},
        Expected{GgmlType::q6_k, 0.018, 0.90}}) {
    for (const float deviation : {0.02f, 1.0f, 500.0f}) {
      const std::vector<float> values = normal_values(256 * 200, deviation, 7);
      const std::vector<float> decoded = round_trip(type, values);
      EXPECT_LT(relative_error(values, decoded), relative) << name_of(type) << " " << deviation;
      double naive = 0;
      for (std::size_t begin = 0; begin < values.size(); begin += 256) {
        const auto block = std::span(values).subspan(begin, 256);
        naive += squared_error(block, without_search(type, block));
      }
      EXPECT_LT(squared_error(values, decoded), gain * naive) << name_of(type) << " " << deviation;
    }
  }
}

TEST(GgmlQuantize, EveryKBlockIsGood) {
  // Shapes that weights take: heavy tails, one-sided, small next to large groups, an outlier.
  Rng rng(11);
  for (const GgmlType type : kKTypes) {
    for (int round = 0; round < 200; ++round) {
      std::vector<float> values = normal_values(256, 0.05f, static_cast<std::uint32_t>(round));
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (round % 4 == 0) values[i] *= std::abs(rng.normal());
        if (round % 4 == 1) values[i] = std::abs(values[i]) * (round % 8 == 1 ? 1.0f : -1.0f);
        if (round % 4 == 2) values[i] *= std::exp2(-static_cast<float>(i / 32));
        if (round % 4 == 3 && i == 100) values[i] = 4;
      }
      const double error = squared_error(values, round_trip(type, values));
      EXPECT_LE(error, 1.02 * squared_error(values, without_search(type, values)))
          << name_of(type) << " " << round;
    }
  }
}

TEST(GgmlQuantize, ValuesOfTheFormatAreKept) {
  // With the largest scale and minimum codes in use, and codes over the whole range, the scales can
  // only be found again.
  Rng rng(13);
  std::vector<float> affine(256), symmetric(256);
  for (const int top : {15, 31}) {
    for (std::size_t i = 0; i < 256; ++i) {
      const std::size_t group = i / 32;
      const float n = static_cast<float>(i % 32 < 2 ? i % 32 * top : rng.below(top + 1));
      affine[i] = 0.25f * static_cast<float>(63 - 4 * group) * n -
                  0.5f * static_cast<float>(63 - 7 * group);
    }
    const GgmlType type = top == 15 ? GgmlType::q4_k : GgmlType::q5_k;
    EXPECT_EQ(round_trip(type, affine), affine) << top;
  }
  for (std::size_t i = 0; i < 256; ++i) {
    const float q = i % 16 == 0 ? -32 : static_cast<float>(rng.between(-31, 31));
    symmetric[i] = 0.125f * static_cast<float>(-128 + 15 * static_cast<int>(i / 16)) * q;
  }
  EXPECT_EQ(round_trip(GgmlType::q6_k, symmetric), symmetric);
}

TEST(GgmlQuantize, ZerosStayZeros) {
  for (const GgmlType type : kBlockTypes) {
    const std::vector<float> zeros(256, 0.0f);
    for (const float value : round_trip(type, zeros)) ASSERT_EQ(value, 0.0f) << name_of(type);
    for (const float small : {1e-45f, 1e-38f, -1e-30f, 1e-20f, -1e-12f}) {
      std::vector<float> values(256, small);
      values[7] = -small;
      for (const float value : round_trip(type, values)) ASSERT_EQ(value, 0.0f) << small;
    }
  }
}

TEST(GgmlQuantize, ConstantBlocks) {
  for (const GgmlType type : kBlockTypes) {
    for (const float value : {1.0f, -1.0f, 0.003f, -700.0f}) {
      const std::vector<float> values(512, value);
      for (const float decoded : round_trip(type, values)) {
        ASSERT_NEAR(decoded, value, std::abs(value) * 0.01f) << name_of(type);
      }
    }
  }
}

TEST(GgmlQuantize, TheLargestMagnitudeIsStored) {
  for (const GgmlType type : kBlockTypes) {
    const float largest = largest_magnitude(type);
    for (const float sign : {1.0f, -1.0f}) {
      std::vector<float> values(256, 0.0f);
      values[3] = sign * largest;
      values[200] = -sign * largest;
      const std::vector<float> decoded = round_trip(type, values);
      EXPECT_NEAR(decoded[3], values[3], 0.13f * largest) << name_of(type);
      EXPECT_NEAR(decoded[200], values[200], 0.13f * largest) << name_of(type);
      for (const float value : decoded) ASSERT_TRUE(std::isfinite(value));
      values[17] = std::nextafter(largest, HUGE_VALF);
      EXPECT_THAT(message_of([&] { encode(type, values); }),
                  HasSubstr(fmt::format("but {} stores at most", name_of(type))));
    }
  }
}

TEST(GgmlQuantize, WhatIsNotFiniteIsRefusedByName) {
  for (const GgmlType type : kBlockTypes) {
    std::vector<float> values(512, 1.0f);
    values[300] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THAT(message_of([&] { encode(type, values); }),
                HasSubstr("w: value 300 is nan, which Q"));
    values[300] = -std::numeric_limits<float>::infinity();
    EXPECT_THAT(message_of([&] { encode(type, values); }), HasSubstr("value 300 is -inf"));
  }
}

TEST(GgmlQuantize, PlainTypesRoundToNearestAndKeepWhatIsNotFinite) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {1.00390625f, -0.0f, inf, -inf, 3.0e-8f, 65504.0f};
  EXPECT_EQ(round_trip(GgmlType::f32, values), values);
  EXPECT_EQ(round_trip(GgmlType::f16, values),
            (std::vector<float>{1.00390625f, -0.0f, inf, -inf, 0x1p-24f, 65504.0f}));
  EXPECT_EQ(round_trip(GgmlType::bf16, values)[0], 1.0f);  // a tie, to even
  EXPECT_TRUE(std::isnan(round_trip(GgmlType::f16, std::vector<float>{std::nanf("")})[0]));
  EXPECT_THAT(message_of([] {
                encode(GgmlType::f16, std::vector<float>{1, 7e4f});
              }),
              HasSubstr("w: value 1 is 70000, but F16 stores at most 65504"));
  EXPECT_THAT(message_of([] {
                encode(GgmlType::bf16, std::vector<float>{std::numeric_limits<float>::max()});
              }),
              HasSubstr("but BF16 stores at most"));
}

TEST(GgmlQuantize, TheBytesDoNotDependOnFlushingDenormals) {
  for (const GgmlType type : kBlockTypes) {
    Rng rng(17);
    for (int round = 0; round < 300; ++round) {
      std::vector<float> values(256);
      // Exponents from deep within the denormals, up to where scales vanish and to ordinary
      // weights.
      const std::int64_t highest[] = {-127, -95, -60, -20, 0};
      for (float& value : values) {
        value = std::ldexp(rng.normal(), static_cast<int>(rng.between(-149, highest[round % 5])));
      }
      const std::vector<std::byte> bytes = encode(type, values);
      const std::vector<float> decoded = decode(type, bytes);
      const unsigned before = _mm_getcsr();
      _mm_setcsr(before | 0x8040);  // flush results, take denormal inputs for zero
      const std::vector<std::byte> flushed_bytes = encode(type, values);
      const std::vector<float> flushed = decode(type, bytes);
      _mm_setcsr(before);
      ASSERT_EQ(bytes, flushed_bytes) << name_of(type) << " " << round;
      ASSERT_EQ(std::memcmp(decoded.data(), flushed.data(), 256 * sizeof(float)), 0);
    }
  }
}

TEST(GgmlQuantizeDeath, SizesMustFit) {
  const std::vector<float> values(256);
  std::vector<std::byte> bytes(144);
  EXPECT_DEATH(quantize(GgmlType::q4_k, std::span(values).first(128), bytes, "w"), "128 values");
  EXPECT_DEATH(quantize(GgmlType::q4_k, values, std::span(bytes).first(143), "w"), "143 bytes");
}

}  // namespace
}  // namespace r1
