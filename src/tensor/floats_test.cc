#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/rng.h"
#include "tensor/bf16.h"
#include "tensor/f16.h"
#include "tensor/fp8.h"

namespace r1 {
namespace {

// The nearest of all finite values of a format, ties to the even pattern, found by trying every
// pattern: slow and obviously right. The magnitude must not overflow.
template <class Format, class Bits>
Bits nearest_by_search(float value, unsigned patterns) {
  Bits best = 0;
  double best_distance = std::numeric_limits<double>::infinity();
  for (unsigned bits = 0; bits < patterns; ++bits) {
    const double candidate = to_float(Format{static_cast<Bits>(bits)});
    if (!std::isfinite(candidate)) continue;
    const double distance = std::abs(candidate - std::abs(static_cast<double>(value)));
    if (distance < best_distance || (distance == best_distance && bits % 2 == 0)) {
      best = static_cast<Bits>(bits);
      best_distance = distance;
    }
  }
  return static_cast<Bits>(best | (std::signbit(value) ? patterns : 0u));
}

float random_float(Rng& rng, int low_exponent, int high_exponent) {
  const auto exponent = static_cast<int>(rng.between(low_exponent, high_exponent));
  const float magnitude = std::ldexp(1.0f + rng.uniform(), exponent);
  return rng.chance(0.5) ? -magnitude : magnitude;
}

TEST(Bf16, EveryPatternSurvivesARoundTrip) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const bf16 value{static_cast<std::uint16_t>(bits)};
    const bool is_nan = std::isnan(to_float(value));
    const unsigned expected = is_nan ? bits | 0x40u : bits;  // a NaN becomes quiet
    ASSERT_EQ(round_to_bf16(to_float(value)).bits, expected);
  }
}

TEST(Bf16, RoundsToNearestEven) {
  static_assert(round_to_bf16(1.0f).bits == 0x3F80);
  static_assert(round_to_bf16(std::bit_cast<float>(0x3F808000u)).bits == 0x3F80);  // tie down
  static_assert(round_to_bf16(std::bit_cast<float>(0x3F818000u)).bits == 0x3F82);  // tie up
  static_assert(round_to_bf16(std::bit_cast<float>(0x3F808001u)).bits == 0x3F81);
  static_assert(round_to_bf16(-0.0f).bits == 0x8000);
  EXPECT_EQ(round_to_bf16(std::numeric_limits<float>::max()).bits, 0x7F80);
  EXPECT_EQ(round_to_bf16(std::bit_cast<float>(0xFF800001u)).bits, 0xFFC0);  // signalling NaN
}

TEST(F16, EveryPatternSurvivesARoundTrip) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const f16 value{static_cast<std::uint16_t>(bits)};
    const bool is_nan = std::isnan(to_float(value));
    const unsigned expected = is_nan ? bits | 0x200u : bits;
    ASSERT_EQ(round_to_f16(to_float(value)).bits, expected) << bits;
  }
}

TEST(F16, KnownValues) {
  static_assert(to_float(f16{0x3C00}) == 1.0f);
  static_assert(to_float(f16{0x7BFF}) == 65504.0f);
  static_assert(to_float(f16{0x0001}) == 0x1p-24f);
  static_assert(to_float(f16{0x0400}) == 0x1p-14f);
  static_assert(round_to_f16(65519.99f).bits == 0x7BFF);
  static_assert(round_to_f16(65520.0f).bits == 0x7C00);
  static_assert(round_to_f16(0x1p-25f).bits == 0);  // tie to even
  static_assert(round_to_f16(0x1.8p-24f).bits == 2);
  EXPECT_EQ(round_to_f16(-std::numeric_limits<float>::infinity()).bits, 0xFC00);
}

TEST(F16, RoundsLikeASearchOverAllValues) {
  Rng rng(1);
  for (int i = 0; i < 300; ++i) {
    const float value = random_float(rng, -27, 14);
    ASSERT_EQ(round_to_f16(value).bits, (nearest_by_search<f16, std::uint16_t>(value, 0x8000)))
        << value;
  }
}

TEST(F8E4M3, EveryPatternSurvivesARoundTrip) {
  for (unsigned bits = 0; bits < 0x100; ++bits) {
    const f8_e4m3 value{static_cast<std::uint8_t>(bits)};
    ASSERT_EQ(round_to_f8_e4m3(to_float(value)).bits, bits);
  }
}

TEST(F8E4M3, KnownValues) {
  static_assert(to_float(f8_e4m3{0x38}) == 1.0f);
  static_assert(to_float(f8_e4m3{0x7E}) == 448.0f);
  static_assert(to_float(f8_e4m3{0x01}) == 0x1p-9f);
  static_assert(to_float(f8_e4m3{0x08}) == 0x1p-6f);
  EXPECT_TRUE(std::isnan(to_float(f8_e4m3{0x7F})));
  EXPECT_TRUE(std::isnan(to_float(f8_e4m3{0xFF})));
  EXPECT_EQ(round_to_f8_e4m3(1e9f).bits, 0x7E);
  EXPECT_EQ(round_to_f8_e4m3(-std::numeric_limits<float>::infinity()).bits, 0xFE);
}

TEST(F8E4M3, RoundsLikeASearchOverAllValues) {
  Rng rng(2);
  for (int i = 0; i < 20000; ++i) {
    const float value = random_float(rng, -12, 7);
    ASSERT_EQ(round_to_f8_e4m3(value).bits, (nearest_by_search<f8_e4m3, std::uint8_t>(value, 0x80)))
        << value;
  }
  for (unsigned bits = 0; bits < 0x7E; ++bits) {  // every tie
    const float low = to_float(f8_e4m3{static_cast<std::uint8_t>(bits)});
    const float high = to_float(f8_e4m3{static_cast<std::uint8_t>(bits + 1)});
    ASSERT_EQ(round_to_f8_e4m3((low + high) / 2).bits, bits % 2 == 0 ? bits : bits + 1);
  }
}

}  // namespace
}  // namespace r1
