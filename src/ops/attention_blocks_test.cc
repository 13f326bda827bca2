// Attention over a cache of Q8_0 blocks.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/rng.h"
#include "ops/ops.h"
#include "quant/ggml_blocks.h"

namespace r1 {
namespace {

constexpr std::int64_t kHeads = 6, kKvHeads = 2, kKey = 64, kValue = 32, kTokens = 150;
constexpr std::int64_t kRow = kKvHeads * (kKey + kValue);

struct Inputs {
  std::vector<float> q, k, v;
  explicit Inputs(std::uint64_t seed) {
    Rng rng(seed, 0, 0);
    const auto fill = [&](std::vector<float>& values, std::int64_t size) {
      values.resize(static_cast<std::size_t>(size));
      for (float& value : values) value = rng.normal();
    };
    fill(q, kTokens * kHeads * kKey);
    fill(k, kTokens * kKvHeads * kKey);
    fill(v, kTokens * kKvHeads * kValue);
  }
};

// Through a cache in scattered pages, in chunks of these rows.
std::vector<float> attend(Isa isa, Inputs inputs, KvStorage storage,
                          const std::vector<std::int64_t>& chunks) {
  Backend backend(2, isa);
  Arena arena;
  const ForwardContext ctx{backend, arena, Precision::bf16, nullptr};
  std::vector<std::byte> memory(static_cast<std::size_t>(6 * kPageTokens * kRow * 2),
                                std::byte{0xFF});
  const KvLayer cache{memory.data(), kRow, storage};
  const std::vector<std::int32_t> pages = {4, 0, 5};
  std::vector<float> out;
  std::int64_t start = 0;
  for (const std::int64_t rows : chunks) {
    const SequenceSpan span{0, rows, start, pages};
    const Tensor q = ctx.make({rows, kHeads, kKey}), k = ctx.make({rows, kKvHeads, kKey}),
                 v = ctx.make({rows, kKvHeads, kValue});
    std::copy_n(inputs.q.data() + start * kHeads * kKey, q.shape.count(), q.data);
    std::copy_n(inputs.k.data() + start * kKvHeads * kKey, k.shape.count(), k.data);
    std::copy_n(inputs.v.data() + start * kKvHeads * kValue, v.shape.count(), v.data);
    const Tensor y = grouped_attention(ctx, q, k, v, {&span, 1}, cache, 0.125f);
    out.insert(out.end(), y.data, y.data + y.shape.count());
    start += rows;
  }
  return out;
}

void round_to_blocks(std::vector<float>& values) {
  std::vector<std::byte> blocks(values.size() / kSmallBlock * sizeof(BlockQ8_0));
  quantize(GgmlType::q8_0, values, blocks, "test");
  dequantize(GgmlType::q8_0, blocks, values);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(AttentionOverBlocks, IsAttentionOverTheDecodedRowsHoweverItIsCut) {
  const Inputs inputs(3);
  Inputs decoded = inputs;
  round_to_blocks(decoded.k);
  round_to_blocks(decoded.v);
  const std::vector<float> wanted = attend(Isa::scalar, decoded, KvStorage::plain, {kTokens});
  for (const Isa isa : supported_isas()) {
    for (const std::vector<std::int64_t>& chunks :
         {std::vector<std::int64_t>{150}, {1, 63, 1, 84, 1}, {64, 64, 22}}) {
      EXPECT_TRUE(same_bits(attend(isa, inputs, KvStorage::q8_0, chunks), wanted)) << name_of(isa);
    }
  }
}

TEST(AttentionOverBlocks, StaysCloseToTheUnquantisedCache) {
  const Inputs inputs(4);
  const std::vector<float> plain = attend(choose_isa(), inputs, KvStorage::plain, {kTokens});
  const std::vector<float> blocks = attend(choose_isa(), inputs, KvStorage::q8_0, {kTokens});
  double error = 0, size = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    error += std::pow(blocks[i] - plain[i], 2);
    size += std::pow(plain[i], 2);
  }
  EXPECT_LT(std::sqrt(error / size), 0.015);
  EXPECT_GT(error, 0.0);
}

TEST(AttentionOverBlocks, ANonFiniteKeyShowsInLaterRowsOnly) {
  Inputs inputs(5);
  inputs.k[40 * kKvHeads * kKey] = std::numeric_limits<float>::infinity();
  const std::vector<float> out = attend(choose_isa(), inputs, KvStorage::q8_0, {kTokens});
  EXPECT_TRUE(std::isfinite(out[39 * kHeads * kValue]));
  EXPECT_TRUE(std::isnan(out[40 * kHeads * kValue]));
}

}  // namespace
}  // namespace r1
