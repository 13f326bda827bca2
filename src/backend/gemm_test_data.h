#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace r1::gemm_test {

// Values of every kind a product can meet.
enum class Values { ordinary, special };

inline std::vector<float> random_values(std::int64_t count, std::uint64_t seed,
                                        Values kind = Values::ordinary) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kSpecials[] = {0.0f,
                                 -0.0f,
                                 1e-40f,
                                 -3e-39f,
                                 1.2e-38f,
                                 -1.3e-38f,
                                 1e-20f,
                                 -1.1e-19f,
                                 3e38f,
                                 -3.3e38f,
                                 1e19f,
                                 -2e19f,
                                 1.0f,
                                 -1.0f,
                                 0.3333f,
                                 65535.99f,
                                 kInfinity,
                                 -kInfinity,
                                 std::numeric_limits<float>::quiet_NaN()};
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) {
    value = uniform(random);
    if (kind == Values::special) {
      // Infinities and NaNs are rare, or nothing else would be left to compare.
      const std::uint64_t pick = random() % 400;
      if (pick < 3) {
        value = kSpecials[std::size(kSpecials) - 1 - pick];
      } else if (pick < 200) {
        value = kSpecials[pick % (std::size(kSpecials) - 3)];
      }
    }
  }
  return values;
}

// Equal by memcmp, except that any NaN equals any NaN.
inline bool same_bits(const float* a, const float* b, std::int64_t count) {
  if (std::memcmp(a, b, static_cast<std::size_t>(count) * sizeof(float)) == 0) return true;
  for (std::int64_t i = 0; i < count; ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::memcmp(a + i, b + i, sizeof(float)) != 0) return false;
  }
  return true;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && same_bits(a.data(), b.data(), static_cast<std::int64_t>(a.size()));
}

}  // namespace r1::gemm_test
