#include <gtest/gtest.h>

#include <vector>

#include "backend/gemm_test_data.h"
#include "backend/matmul.h"
#include "quant/ggml_blocks.h"

namespace r1 {
namespace {

using gemm_test::random_values;
using gemm_test::same_bits;

constexpr GgmlType kTypes[] = {GgmlType::f32,  GgmlType::f16,  GgmlType::bf16, GgmlType::q8_0,
                               GgmlType::q4_0, GgmlType::q4_k, GgmlType::q5_k, GgmlType::q6_k};
// m, n, k: one row, few, many, one panel, many.
constexpr std::int64_t kSizes[][3] = {{1, 700, 1024}, {5, 33, 256}, {40, 90, 768}, {700, 16, 512}};

struct Stored {
  std::int64_t n, k;
  GgmlType type;
  std::vector<std::byte> rows;
  std::vector<float> values;  // what the rows decode to

  Stored(GgmlType t, std::int64_t out, std::int64_t in, std::uint64_t seed)
      : n(out), k(in), type(t), values(random_values(out * in, seed)) {
    const GgmlBlockSize block = block_size(type);
    rows.resize(values.size() / block.values * block.bytes);
    quantize(type, values, rows, "test");
    dequantize(type, rows, values);
  }
};

std::vector<float> product(Backend& backend, const PackedMatrix& packed,
                           const std::vector<float>& x, std::int64_t m) {
  std::vector<float> c(static_cast<std::size_t>(m * packed.n), 3.0f);
  matmul(backend, x.data(), packed.k, m, packed, c.data(), packed.n, false);
  return c;
}

TEST(MatmulQuantized, InTheBf16ModeGivesTheBitsOfTheDecodedWeights) {
  Backend backend(2);
  for (const GgmlType type : kTypes) {
    for (const auto& [m, n, k] : kSizes) {
      const Stored w(type, n, k, 1);
      const std::vector<float> x = random_values(m * k, 2);
      PackedMatrix stored, decoded;
      pack_stored(backend, type, w.rows, n, k, QuantizedProduct::bf16, stored);
      pack_transposed(backend, Precision::bf16, w.values.data(), k, n, k, decoded);
      EXPECT_TRUE(same_bits(product(backend, stored, x, m), product(backend, decoded, x, m)))
          << name_of(type) << ' ' << m << ' ' << n << ' ' << k;
    }
  }
}

TEST(MatmulQuantized, InTheInt8ModeStaysWithinTheActivationsRounding) {
  Backend backend(2);
  for (const GgmlType type : kTypes) {
    if (!has_quantized_panels(type)) continue;
    const std::int64_t m = 9, n = 50, k = 1536;
    const Stored w(type, n, k, 3);
    const std::vector<float> x = random_values(m * k, 4);
    PackedMatrix packed;
    pack_stored(backend, type, w.rows, n, k, QuantizedProduct::int8, packed);
    const std::vector<float> c = product(backend, packed, x, m);
    double error = 0, size = 0;
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (std::int64_t p = 0; p < k; ++p) {
          sum += double{x[static_cast<std::size_t>(i * k + p)]} *
                 double{w.values[static_cast<std::size_t>(j * k + p)]};
        }
        error += std::pow(c[static_cast<std::size_t>(i * n + j)] - sum, 2);
        size += sum * sum;
      }
    }
    // Steps of largest / 127 on evenly spread values: a relative error of 1 / (127 sqrt(12)
    // sqrt(1/3)).
    EXPECT_LT(std::sqrt(error / size), 0.006) << name_of(type);
    EXPECT_GT(std::sqrt(error / size), 0.001) << name_of(type);
  }
}

TEST(MatmulQuantized, DoesNotDependOnCompanyThreadsOrInstructionSet) {
  for (const QuantizedProduct mode : {QuantizedProduct::bf16, QuantizedProduct::int8}) {
    for (const GgmlType type : {GgmlType::q8_0, GgmlType::q4_k, GgmlType::q6_k}) {
      const std::int64_t m = 150, n = 70, k = 512;
      const Stored w(type, n, k, 5);
      const std::vector<float> x = random_values(m * k, 6);
      std::vector<float> expected;
      for (const Isa isa : supported_isas()) {
        for (const int threads : {1, 3}) {
          Backend backend(threads, isa);
          PackedMatrix packed;
          pack_stored(backend, type, w.rows, n, k, mode, packed);
          const std::vector<float> c = product(backend, packed, x, m);
          if (expected.empty()) expected = c;
          EXPECT_TRUE(same_bits(c, expected)) << name_of(type) << name_of(isa) << threads;
          std::vector<float> row(x.begin() + 77 * k, x.begin() + 78 * k);
          EXPECT_TRUE(
              same_bits(product(backend, packed, row, 1).data(), expected.data() + 77 * n, n));
        }
      }
    }
  }
}

}  // namespace
}  // namespace r1
