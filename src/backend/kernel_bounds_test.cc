// Every kernel of every instruction set touches its arrays alone, at all tails: the arrays are
// exactly as long as the shapes say (no padding behind a last row) and end, or begin, where memory
// does.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "backend/attention_kernels_test_problem.h"
#include "backend/guarded_array.h"
#include "backend/kernel_table.h"
#include "base/thread_pool.h"

namespace r1 {
namespace {

using guarded_test::Edge;
using guarded_test::GuardedArray;
using guarded_test::stays_inside;

// Elements from the first row to the end of the last, which is no longer than it must be.
std::int64_t extent(std::int64_t rows, std::int64_t stride, std::int64_t length) {
  return rows == 0 ? 0 : (rows - 1) * stride + length;
}

// Values in [-1, 1); bf16 of any bits would be NaN now and then, which is slow and proves nothing.
struct DrawFloat {
  std::mt19937 random{1};

  float operator()() { return static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f; }
};
struct DrawBf16 {
  DrawFloat draw;

  bf16 operator()() { return round_to_bf16(draw()); }
};

class KernelBounds : public testing::TestWithParam<std::tuple<Isa, Edge>> {
 protected:
  const KernelTable& table() const { return kernel_table(std::get<Isa>(GetParam())); }
  Edge edge() const { return std::get<Edge>(GetParam()); }

  GuardedArray<float> floats(std::int64_t size) const { return {size, edge(), DrawFloat{}}; }
  GuardedArray<bf16> halves(std::int64_t size) const { return {size, edge(), DrawBf16{}}; }

  template <typename Call>
  bool inside(const Call& call) const {
    const FlushDenormals flush;
    return stays_inside(call);
  }

  void expect_product_inside(std::int64_t m, std::int64_t n, std::int64_t k) const {
    SCOPED_TRACE(testing::Message() << "m " << m << " n " << n << " k " << k);
    const GemmKernels& gemm = table().gemm;
    const bool accumulate = (m + n) % 2 == 0;
    const std::int64_t ldc = n + m % 3, lda = k + m % 4;
    GuardedArray<float> c = floats(extent(m, ldc, n));
    const GuardedArray<float> a = floats(extent(m, lda, k));
    const GuardedArray<float> panels = floats(panels_of(n) * kPanelWidth * k);
    ASSERT_TRUE(inside([&] {
      gemm.f32({m, n, k, lda, ldc, accumulate}, a.data(), panels.data(), c.data());
    }));
    const std::int64_t padded = padded_k_bf16(k), lda_bf16 = padded + m % 2 * kBf16KBlock;
    const GuardedArray<bf16> a_bf16 = halves(extent(m, lda_bf16, padded));
    const GuardedArray<bf16> panels_bf16 = halves(panels_of(n) * kPanelWidth * padded);
    ASSERT_TRUE(inside([&] {
      gemm.bf16({m, n, padded, lda_bf16, ldc, accumulate}, a_bf16.data(), panels_bf16.data(),
                c.data());
    }));
  }
};

INSTANTIATE_TEST_SUITE_P(Isas, KernelBounds,
                         testing::Combine(testing::ValuesIn(supported_isas()),
                                          testing::Values(Edge::begin, Edge::end)),
                         [](const auto& param) {
                           return std::string(name_of(std::get<Isa>(param.param))) +
                                  (std::get<Edge>(param.param) == Edge::begin ? "Begin" : "End");
                         });

TEST_P(KernelBounds, AGuardIsNoticed) {
  GuardedArray<float> array = floats(7);
  float* const outside = edge() == Edge::begin ? array.data() - 1 : array.data() + 7;
  EXPECT_FALSE(stays_inside([&] { *static_cast<volatile float*>(outside); }));
  EXPECT_FALSE(stays_inside([&] { *static_cast<volatile float*>(outside) = 1.0f; }));
  EXPECT_TRUE(stays_inside([&] { std::fill_n(array.data(), 7, 1.0f); }));
}

TEST_P(KernelBounds, ProductsOfEveryTail) {
  for (const std::int64_t m : {1, 2, 3, 5, 6, 7, 12, 14, 15, 16, 17, 24, 25, 31, 32, 33, 47, 49}) {
    for (const std::int64_t n : {1, 2, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 49}) {
      expect_product_inside(m, n, (m * 7 + n * 3) % 80);
      if (HasFatalFailure()) return;
    }
  }
}

// Blocks of the caches: of k, and of rows.
TEST_P(KernelBounds, ProductsOfSeveralBlocks) {
  const std::int64_t sizes[][3] = {{1, 17, 4500}, {7, 33, 1057},  {25, 15, 1030}, {40, 31, 2080},
                                   {340, 9, 260}, {390, 49, 300}, {530, 17, 65},  {545, 32, 1025}};
  for (const auto& s : sizes) {
    expect_product_inside(s[0], s[1], s[2]);
    if (HasFatalFailure()) return;
  }
}

TEST_P(KernelBounds, PackingAndTransposing) {
  const GemmKernels& gemm = table().gemm;
  for (std::int64_t k = 0; k <= 66; k += k < 36 ? 1 : 5) {
    for (const std::int64_t n : {1, 7, 8, 15, 16, 17, 31, 33, 40}) {
      SCOPED_TRACE(testing::Message() << "k " << k << " n " << n);
      const std::int64_t panels = panels_of(n), padded = padded_k_bf16(k);
      const std::int64_t n_stride = n + k % 3, k_stride = k + n % 3;
      const GuardedArray<float> by_k = floats(extent(k, n_stride, n));
      const GuardedArray<float> by_n = floats(extent(n, k_stride, k));
      GuardedArray<float> out = floats(panels * kPanelWidth * k);
      GuardedArray<bf16> out_bf16 = halves(panels * kPanelWidth * padded);
      ASSERT_TRUE(inside([&] {
        gemm.pack_rows_f32(by_k.data(), n_stride, k, n, 0, panels, out.data());
        gemm.pack_columns_f32(by_n.data(), k_stride, k, n, 0, panels, out.data());
        gemm.pack_rows_bf16(by_k.data(), n_stride, k, n, 0, panels, out_bf16.data());
        gemm.pack_columns_bf16(by_n.data(), k_stride, k, n, 0, panels, out_bf16.data());
      }));
      GuardedArray<bf16> a_bf16 = halves(n * padded);
      GuardedArray<float> a = floats(extent(n, k_stride, k));
      ASSERT_TRUE(inside([&] {
        gemm.round_rows(by_n.data(), k_stride, n, k, a_bf16.data(), padded);
        gemm.transpose_bf16(by_k.data(), n_stride, k, 0, n, a_bf16.data(), padded);
        gemm.transpose_f32(by_k.data(), n_stride, k, 0, n, a.data(), k_stride);
      }));
    }
  }
}

TEST_P(KernelBounds, QuantizedProducts) {
  const QuantizedKernels& quantized = table().quantized;
  for (const GgmlType type :
       {GgmlType::q8_0, GgmlType::q4_0, GgmlType::q4_k, GgmlType::q5_k, GgmlType::q6_k}) {
    const auto block = static_cast<std::int64_t>(block_size(type).values);
    for (const std::int64_t k : {block, 3 * block, std::int64_t{768}}) {
      for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 16, 17, 31, 32, 33}) {
        const std::int64_t n = 1 + (m * 29 + k / 32) % 70, ldc = n + m % 3, ldx = k + m % 2 * 64;
        SCOPED_TRACE(testing::Message() << name_of(type) << " m " << m << " n " << n << " k " << k);
        const std::int64_t groups_of_row = k / kQuantizedGroup;
        const GuardedArray<float> x = floats(extent(m, k + 1, k));
        GuardedArray<std::int8_t> codes(extent(m, ldx, k), edge());
        GuardedArray<ActivationGroup> groups(m * groups_of_row, edge());
        const std::int64_t panels = quantized_panels_of(n), bytes = quantized_panel_bytes(type, k);
        const GuardedArray<std::byte> weights(panels * bytes, edge());
        GuardedArray<float> c = floats(extent(m, ldc, n));
        ASSERT_TRUE(inside([&] {
          quantized.quantize_rows(type, x.data(), k + 1, m, k, codes.data(), ldx, groups.data());
          quantized.multiply(type, {m, n, k, ldx, ldc, m % 2 == 0}, codes.data(), groups.data(),
                             weights.data(), c.data());
        }));
        const GuardedArray<std::byte> odd(panels_of(n) * bytes, edge());
        GuardedArray<bf16> decoded(panels_of(n) * kPanelWidth * k, edge());
        ASSERT_TRUE(inside(
            [&] { quantized.decode(type, k, odd.data(), panels_of(n), 0, k, decoded.data()); }));
      }
    }
  }
}

TEST_P(KernelBounds, RowsOfAQuantizedCache) {
  constexpr std::int64_t kBlockBytes = 34;
  for (const std::int64_t blocks : {1, 2, 7}) {
    const std::int64_t rows = 3, row_bytes = (blocks + 1) * kBlockBytes, length = blocks * 32;
    const GuardedArray<std::byte> from(extent(rows, row_bytes, blocks * kBlockBytes), edge());
    GuardedArray<bf16> out(extent(rows, length + 5, length), edge());
    EXPECT_TRUE(inside([&] {
      table().quantized.decode_q8_0_rows(from.data(), row_bytes, rows, 0, blocks, out.data(),
                                         length + 5);
    }));
  }
}

struct AttentionShape {
  std::int64_t tokens, heads, start, key_dim, value_dim;
  bool latent;  // the value is the head of the key
};

// Forward and backward over rows of `T`, in pages of their own.
template <typename T, typename Draw>
bool attention_stays_inside(const AttentionKernels& kernels, Edge edge, const AttentionShape& s) {
  const FlushDenormals flush;
  const std::int64_t positions = s.start + s.tokens;
  const std::int64_t value_offset = s.latent ? 0 : s.key_dim + 1;
  const std::int64_t row_end = std::max(s.key_dim, value_offset + s.value_dim);
  const std::int64_t stride = row_end + s.tokens % 3;
  std::vector<std::unique_ptr<GuardedArray<T>>> pages;
  std::vector<const T*> table;
  for (std::int64_t first = 0; first < positions; first += kPageTokens) {
    const std::int64_t rows = std::min(kPageTokens, positions - first);
    pages.push_back(std::make_unique<GuardedArray<T>>(extent(rows, stride, row_end), edge, Draw{}));
    table.push_back(pages.back()->data());
  }
  const KvRows<T> kv{table.data(), stride, 0, value_offset, s.key_dim, s.value_dim};
  const auto floats = [&](std::int64_t size) {
    return GuardedArray<float>(size, edge, DrawFloat{});
  };
  const std::int64_t q_size = s.heads * s.key_dim, out_size = s.heads * s.value_dim;
  const std::int64_t gap = s.tokens % 2;  // between tokens
  const GuardedArray<float> q = floats(extent(s.tokens, q_size + gap, q_size));
  GuardedArray<float> out = floats(extent(s.tokens, out_size + gap, out_size));
  GuardedArray<float> lse = floats(extent(s.tokens, s.heads + gap, s.heads));
  const AttentionQueries queries{s.tokens, s.heads, s.start, q.data(), q_size + gap, 0.2f};
  if (!stays_inside([&] {
        attention_test::forward(kernels, queries, kv, out.data(), out_size + gap, lse.data(),
                                s.heads + gap);
      })) {
    return false;
  }
  const GuardedArray<float> dout = floats(extent(s.tokens, out_size + gap, out_size));
  GuardedArray<float> dq = floats(extent(s.tokens, q_size + gap, q_size));
  GuardedArray<float> dkv = floats(extent(positions, stride, row_end));
  return stays_inside([&] {
    attention_test::backward_of(kernels, kv)(queries, kv, out.data(), dout.data(), out_size + gap,
                                             lse.data(), s.heads + gap, dq.data(), dkv.data());
  });
}

TEST_P(KernelBounds, AttentionForwardAndBackward) {
  const AttentionShape shapes[] = {{1, 1, 0, 1, 1, false},       {2, 3, 0, 7, 9, false},
                                   {16, 1, 0, 16, 16, false},    {17, 2, 5, 15, 17, false},
                                   {5, 16, 63, 24, 40, false},   {3, 5, 64, 33, 31, false},
                                   {67, 3, 0, 20, 12, true},     {1, 16, 130, 80, 64, true},
                                   {1, 1, 200, 128, 128, false}, {2, 16, 100, 576, 512, true}};
  for (const AttentionShape& s : shapes) {
    SCOPED_TRACE(testing::Message() << s.tokens << " tokens of " << s.heads << " heads from "
                                    << s.start << ", key_dim " << s.key_dim);
    const AttentionKernels& kernels = table().attention;
    EXPECT_TRUE((attention_stays_inside<float, DrawFloat>(kernels, edge(), s)));
    EXPECT_TRUE((attention_stays_inside<bf16, DrawBf16>(kernels, edge(), s)));
  }
}

}  // namespace
}  // namespace r1
