#include "base/rng.h"

#include <cmath>

#include "base/error.h"

namespace r1 {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kMul0 = 0xD2511F53, kMul1 = 0xCD9E8D57;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = kMul0 * counter[0];
    const std::uint64_t p1 = kMul1 * counter[2];
    counter = {
        static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
        static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

Rng::Rng(std::uint64_t seed, std::uint32_t step, std::uint32_t sample, std::uint32_t position)
    : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
      counter_{0, position, sample, step} {}

std::uint32_t Rng::next_u32() {
  if (used_ == 4) {
    block_ = philox4x32(counter_, key_);
    ++counter_[0];
    used_ = 0;
  }
  return block_[static_cast<std::size_t>(used_++)];
}

std::uint64_t Rng::next_u64() {
  const std::uint64_t high = next_u32();
  return high << 32 | next_u32();
}

float Rng::uniform() { return static_cast<float>(next_u32() >> 8) * 0x1p-24f; }

std::uint32_t Rng::below(std::uint32_t bound) {
  R1_CHECK(bound > 0, "bound {}", bound);
  // Lemire's multiply-shift with rejection.
  std::uint64_t product = static_cast<std::uint64_t>(next_u32()) * bound;
  if (static_cast<std::uint32_t>(product) < bound) {
    const std::uint32_t threshold = (0u - bound) % bound;
    while (static_cast<std::uint32_t>(product) < threshold) {
      product = static_cast<std::uint64_t>(next_u32()) * bound;
    }
  }
  return static_cast<std::uint32_t>(product >> 32);
}

std::int64_t Rng::between(std::int64_t low, std::int64_t high) {
  R1_CHECK(low <= high && high - low < 0xFFFFFFFFll, "low {} high {}", low, high);
  return low + below(static_cast<std::uint32_t>(high - low + 1));
}

float Rng::normal() {
  const double u = (static_cast<double>(next_u32()) + 1.0) * 0x1p-32;
  const double v = static_cast<double>(next_u32()) * 0x1p-32;
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * M_PI * v));
}

}  // namespace r1
