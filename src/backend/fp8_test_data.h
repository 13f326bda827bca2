#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "quant/fp8_blocks.h"

namespace r1::fp8_test {

// Which codes and scales a matrix has.
enum class Codes {
  ordinary,    // of evenly spread values, below 2^-6 as seldom as there
  subnormals,  // every finite one as often as any other
  all,         // NaN as well, and scales of every kind
};

struct Weights {
  std::int64_t n, k;
  std::vector<std::byte> codes;
  std::vector<float> scales;

  Weights(std::int64_t rows, std::int64_t length, Codes kind, std::uint64_t seed)
      : n(rows),
        k(length),
        codes(static_cast<std::size_t>(rows * length)),
        scales(static_cast<std::size_t>(fp8_blocks_of(rows) * fp8_blocks_of(length))) {
    Rng rng(seed, 0, 0);
    for (std::byte& code : codes) {
      auto bits = static_cast<std::uint8_t>(rng.next_u32());
      if (kind == Codes::ordinary) bits = round_to_f8_e4m3(900.0f * (rng.uniform() - 0.5f)).bits;
      if (kind != Codes::all && (bits & 0x7F) == 0x7F) bits ^= 1;
      code = static_cast<std::byte>(bits);
    }
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    constexpr float kOdd[] = {0.0f,
                              1e-40f,
                              -2e-4f,
                              0x1p-119f,
                              3.1e-38f,
                              1e36f,
                              kInfinity,
                              -0x1.8p99f,
                              0x1p-126f,
                              0x1.8p-99f,
                              std::numeric_limits<float>::quiet_NaN()};
    for (float& scale : scales) {
      const std::uint32_t pick = rng.next_u32() % 32;
      scale = pick < 8 ? 0x1p-11f : 1e-4f + 5e-4f * rng.uniform();  // powers of two among them
      if (kind == Codes::all && pick >= 32 - std::size(kOdd)) scale = kOdd[31 - pick];
    }
  }

  Fp8Matrix matrix() const { return {n, k, codes, scales}; }
  std::vector<float> values() const {
    std::vector<float> out(codes.size());
    decode_fp8(matrix(), 0, out);
    return out;
  }
};

}  // namespace r1::fp8_test
