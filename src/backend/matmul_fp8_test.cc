#include <gtest/gtest.h>

#include <vector>

#include "backend/fp8_test_data.h"
#include "backend/gemm_test_data.h"
#include "backend/matmul.h"

namespace r1 {
namespace {

using fp8_test::Codes;
using fp8_test::Weights;
using gemm_test::random_values;
using gemm_test::same_bits;

// m, n, k: one row, few, many; edges of panels, blocks and what is decoded at once.
constexpr std::int64_t kSizes[][3] = {{1, 700, 1024}, {3, 33, 130},  {5, 70, 2100},
                                      {40, 90, 777},  {200, 16, 31}, {600, 150, 300}};

std::vector<float> product(Backend& backend, const PackedMatrix& packed,
                           const std::vector<float>& x, std::int64_t m) {
  std::vector<float> c(static_cast<std::size_t>(m * packed.n), 3.0f);
  matmul(backend, x.data(), packed.k, m, packed, c.data(), packed.n, false);
  return c;
}

TEST(MatmulFp8, GivesTheBitsOfTheDecodedWeightsOnEveryInstructionSet) {
  for (const Isa isa : supported_isas()) {
    Backend backend(2, isa);
    for (const Codes codes : {Codes::ordinary, Codes::subnormals, Codes::all}) {
      for (const auto& [m, n, k] : kSizes) {
        const Weights w(n, k, codes, 1);
        const std::vector<float> x = random_values(m * k, 2), values = w.values();
        PackedMatrix fp8, decoded;
        pack_fp8(backend, w.matrix(), fp8);
        pack_transposed(backend, Precision::bf16, values.data(), k, n, k, decoded);
        EXPECT_TRUE(same_bits(product(backend, fp8, x, m), product(backend, decoded, x, m)))
            << name_of(isa) << ' ' << static_cast<int>(codes) << ' ' << m << ' ' << n << ' ' << k;
      }
    }
  }
}

TEST(MatmulFp8, DoesNotDependOnCompanyOrThreads) {
  const std::int64_t m = 150, n = 70, k = 500;
  const Weights w(n, k, Codes::ordinary, 3);
  const std::vector<float> x = random_values(m * k, 4);
  std::vector<float> expected;
  for (const int threads : {1, 3}) {
    Backend backend(threads);
    PackedMatrix packed;
    pack_fp8(backend, w.matrix(), packed);
    const std::vector<float> c = product(backend, packed, x, m);
    if (expected.empty()) expected = c;
    EXPECT_TRUE(same_bits(c, expected));
    for (const std::int64_t rows : {1, 2, 6, 7}) {
      const std::vector<float> part(x.begin() + 77 * k, x.begin() + (77 + rows) * k);
      EXPECT_TRUE(same_bits(product(backend, packed, part, rows).data(), expected.data() + 77 * n,
                            rows * n));
    }
  }
}

TEST(MatmulFp8, TakesAByteForAWeightAndAFewForItsScales) {
  const std::int64_t bytes = fp8_packed_bytes(2048, 7168);
  EXPECT_GE(bytes, 2048 * 7168);
  EXPECT_LT(bytes, 2048 * 7168 * 101 / 100);
}

}  // namespace
}  // namespace r1
