#include "backend/cpu/generic/gemm_tiles.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "backend/cpu/instruction_sets.h"
#include "backend/gemm_test_data.h"
#include "base/thread_pool.h"

namespace r1 {
namespace {

using gemm_test::random_values;
using gemm_test::same_bits;
using gemm_test::Values;

// Tile registers as the processor's manual describes them, in ordinary code. Proves blocking, tails
// and addresses of the AMX kernel where there is no AMX.
class ModelTiles {
 public:
  void configure(std::int64_t top, std::int64_t bottom) {
    ASSERT_FALSE(configured_);
    ASSERT_TRUE(top >= 1 && top <= 16 && bottom >= 0 && bottom <= 16);
    rows_ = {top, top, bottom, bottom, top, bottom, 16, 16};
    configured_ = true;
  }
  void release() {
    EXPECT_TRUE(configured_);
    configured_ = false;
  }
  bool configured() const { return configured_; }

  template <int t>
  void zero() {
    use(t);
    tiles_[t] = {};
  }
  template <int t>
  void load(const void* address, std::int64_t stride) {
    use(t);
    tiles_[t] = {};
    for (std::int64_t r = 0; r < rows_[t]; ++r) {
      std::memcpy(row<float>(t, r), static_cast<const char*>(address) + r * stride, kRowBytes);
    }
  }
  template <int t>
  void store(void* address, std::int64_t stride) {
    use(t);
    for (std::int64_t r = 0; r < rows_[t]; ++r) {
      std::memcpy(static_cast<char*>(address) + r * stride, row<float>(t, r), kRowBytes);
    }
  }
  template <int c, int a, int b>
  void multiply() {
    use(c);
    use(a);
    use(b);
    ASSERT_EQ(rows_[c], rows_[a]);
    for (std::int64_t m = 0; m < rows_[c]; ++m) {
      for (int n = 0; n < 16; ++n) {
        float even = 0.0f, odd = 0.0f;
        for (int pair = 0; pair < 16; ++pair) {
          const bf16* x = row<bf16>(a, m) + 2 * pair;
          const bf16* y = row<bf16>(b, pair) + 2 * n;
          even = std::fma(to_float(x[0]), to_float(y[0]), even);
          odd = std::fma(to_float(x[1]), to_float(y[1]), odd);
        }
        row<float>(c, m)[n] += even + odd;
      }
    }
  }

 private:
  static constexpr std::size_t kRowBytes = 64;
  struct alignas(64) Tile {
    std::array<char, 16 * kRowBytes> bytes;
  };
  template <typename T>
  T* row(int tile, std::int64_t r) {
    return reinterpret_cast<T*>(tiles_[static_cast<std::size_t>(tile)].bytes.data() +
                                static_cast<std::size_t>(r) * kRowBytes);
  }
  void use(int tile) {
    ASSERT_TRUE(configured_);
    ASSERT_GT(rows_[static_cast<std::size_t>(tile)], 0) << "tile " << tile << " is not configured";
  }

  bool configured_ = false;
  std::array<std::int64_t, 8> rows_{};
  std::array<Tile, 8> tiles_{};
};

void expect_tiles_match(std::int64_t m, std::int64_t n, std::int64_t k, Values values,
                        bool accumulate) {
  const FlushDenormals flush;
  const GemmKernels& scalar = cpu::scalar::gemm_kernels();
  const std::int64_t padded = padded_k_bf16(k), lda = padded + k % 2 * kBf16KBlock, ldc = n + 3;
  const std::vector<float> a = random_values(m * k, 1, values);
  const std::vector<float> b = random_values(k * n, 2, values);
  // Exactly as long as they must be: reads and writes beyond them are seen by the address
  // sanitizer.
  std::vector<bf16> a_bf16(static_cast<std::size_t>(m * lda));
  std::vector<bf16> panels(static_cast<std::size_t>(panels_of(n) * kPanelWidth * padded));
  scalar.round_rows(a.data(), k, m, k, a_bf16.data(), lda);
  scalar.pack_rows_bf16(b.data(), n, k, n, 0, panels_of(n), panels.data());
  std::vector<float> expected = random_values(m * ldc, 3, values), c = expected;
  const GemmShape shape{m, n, padded, lda, ldc, accumulate};
  scalar.bf16(shape, a_bf16.data(), panels.data(), expected.data());
  ModelTiles tiles;
  cpu::generic::TileProduct<ModelTiles>(tiles, shape, a_bf16.data(), panels.data(), c.data()).run();
  EXPECT_FALSE(tiles.configured()) << "tiles were not released";
  ASSERT_TRUE(same_bits(c, expected)) << m << ' ' << n << ' ' << k << ' ' << accumulate;
}

TEST(GemmTiles, EverySmallRowAndColumnCountMatchesTheDefinition) {
  for (std::int64_t m = 1; m <= 40; ++m) {
    for (std::int64_t n = 1; n <= 40; ++n) {
      expect_tiles_match(m, n, (m * 13 + n * 5) % 71, Values::ordinary, (m + n) % 2 == 0);
    }
  }
}

TEST(GemmTiles, BlocksMatchTheDefinition) {
  const std::int64_t sizes[][3] = {{1, 70, 2100}, {63, 64, 1024}, {65, 17, 1056}, {530, 33, 40},
                                   {544, 16, 33}, {1030, 5, 64},  {70, 100, 1500}};
  for (const auto& s : sizes) {
    expect_tiles_match(s[0], s[1], s[2], Values::ordinary, false);
    expect_tiles_match(s[0], s[1], s[2], Values::ordinary, true);
  }
}

TEST(GemmTiles, SpecialValuesMatchTheDefinition) {
  for (std::int64_t m = 1; m <= 37; m += 6) {
    for (std::int64_t n = 1; n <= 36; n += 5) {
      expect_tiles_match(m, n, 33, Values::special, m % 2 == 0);
    }
  }
}

}  // namespace
}  // namespace r1
