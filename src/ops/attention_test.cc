#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

constexpr float kScale = 0.4f;

// Two sequences in one batch; the second is long enough to need a second page.
std::vector<SequenceSpan> two_spans(std::int64_t first, std::int64_t second) {
  return {{.first_row = 0, .rows = first, .start = 0, .pages = {}},
          {.first_row = first, .rows = second, .start = 0, .pages = {}}};
}

// Causal attention of one head over one span in double precision. key(t, i) and value(t, i) are
// read per row of the batch.
template <typename Key, typename Value>
void reference_head(const SequenceSpan& span, const double* q, std::int64_t q_stride,
                    std::int64_t key_dim, const Key& key, std::int64_t value_dim,
                    const Value& value, double* out, std::int64_t out_stride) {
  for (std::int64_t t = 0; t < span.rows; ++t) {
    const std::int64_t row = span.first_row + t;
    Values scores;
    for (std::int64_t j = 0; j <= t; ++j) {
      double dot = 0;
      for (std::int64_t i = 0; i < key_dim; ++i) {
        dot += q[row * q_stride + i] * key(span.first_row + j, i);
      }
      scores.push_back(dot * static_cast<double>(kScale));
    }
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double& score : scores) sum += score = std::exp(score - largest);
    for (std::int64_t i = 0; i < value_dim; ++i) {
      double mean = 0;
      for (std::int64_t j = 0; j <= t; ++j) {
        mean += scores[size(j)] / sum * value(span.first_row + j, i);
      }
      out[row * out_stride + i] = mean;
    }
  }
}

OpCase latent_case(const std::string& variant, std::int64_t heads, std::int64_t latent,
                   std::int64_t rope_dim, const std::vector<SequenceSpan>& spans) {
  const std::int64_t rows = spans.back().first_row + spans.back().rows;
  const std::int64_t key_dim = latent + rope_dim;
  return {
      .op = "latent_attention",
      .variant = variant,
      .inputs = {{.shape = {rows, heads, key_dim}},
                 {.shape = {rows, latent}},
                 {.shape = {rows, rope_dim}}},
      .make =
          [=] {
            return Op{
                .weights = {},
                .refresh = {},
                .forward =
                    [=](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                      return latent_attention(ctx, inputs[0], inputs[1], inputs[2], spans, {},
                                              kScale);
                    },
                .reference =
                    [=](std::span<const Values> inputs, auto, Precision precision) {
                      Values out(size(rows * heads * latent));
                      const auto key = [&](std::int64_t row, std::int64_t i) {
                        return rounded(i < latent ? inputs[1][size(row * latent + i)]
                                                  : inputs[2][size(row * rope_dim + i - latent)],
                                       precision);
                      };
                      for (const SequenceSpan& span : spans) {
                        for (std::int64_t h = 0; h < heads; ++h) {
                          reference_head(span, inputs[0].data() + h * key_dim, heads * key_dim,
                                         key_dim, key, latent, key, out.data() + h * latent,
                                         heads * latent);
                        }
                      }
                      return out;
                    },
            };
          },
  };
}

OpCase grouped_case(const std::string& variant, std::int64_t heads, std::int64_t kv_heads,
                    std::int64_t key_dim, std::int64_t value_dim,
                    const std::vector<SequenceSpan>& spans) {
  const std::int64_t rows = spans.back().first_row + spans.back().rows;
  return {
      .op = "grouped_attention",
      .variant = variant,
      .inputs = {{.shape = {rows, heads, key_dim}},
                 {.shape = {rows, kv_heads, key_dim}},
                 {.shape = {rows, kv_heads, value_dim}}},
      .make =
          [=] {
            return Op{
                .weights = {},
                .refresh = {},
                .forward =
                    [=](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                      return grouped_attention(ctx, inputs[0], inputs[1], inputs[2], spans, {},
                                               kScale);
                    },
                .reference =
                    [=](std::span<const Values> inputs, auto, Precision precision) {
                      Values out(size(rows * heads * value_dim));
                      for (const SequenceSpan& span : spans) {
                        for (std::int64_t h = 0; h < heads; ++h) {
                          const std::int64_t kv = h / (heads / kv_heads);
                          const auto part = [&](const Values& x, std::int64_t dim) {
                            return [&x, dim, kv, kv_heads, precision](std::int64_t row,
                                                                      std::int64_t i) {
                              return rounded(x[size((row * kv_heads + kv) * dim + i)], precision);
                            };
                          };
                          reference_head(span, inputs[0].data() + h * key_dim, heads * key_dim,
                                         key_dim, part(inputs[1], key_dim), value_dim,
                                         part(inputs[2], value_dim), out.data() + h * value_dim,
                                         heads * value_dim);
                        }
                      }
                      return out;
                    },
            };
          },
  };
}

const Declare kLatent{latent_case("two_spans", 3, 5, 2, two_spans(4, 7))};
const Declare kLatentPages{latent_case("two_pages", 2, 18, 4, two_spans(3, 67))};
const Declare kGrouped{grouped_case("two_spans", 4, 2, 6, 4, two_spans(7, 4))};
const Declare kGroupedPages{grouped_case("two_pages", 2, 1, 3, 5, two_spans(66, 2))};

// Sequences through a cache in scattered pages, chunk by chunk, against the whole batch without.
TEST(Attention, CachedChunksGiveTheBitsOfTheWhole) {
  constexpr std::int64_t kHeads = 3, kLatentDim = 20, kRope = 6, kKey = kLatentDim + kRope;
  constexpr std::int64_t kA = 70, kB = 37, kRows = kA + kB;
  const std::vector<float> q = random_floats(kRows * kHeads * kKey, 1);
  const std::vector<float> latent = random_floats(kRows * kLatentDim, 2);
  const std::vector<float> key_rope = random_floats(kRows * kRope, 3);
  Backend backend(3);
  for (Precision precision : {Precision::f32, Precision::bf16}) {
    Arena arena;
    const ForwardContext ctx{backend, arena, precision};
    // Rows [first, first + count) of an array as a tensor.
    const auto rows_of = [&](const std::vector<float>& from, std::int64_t first, std::int64_t count,
                             const Shape& shape) {
      Tensor tensor = ctx.make_input(shape);
      const std::int64_t width = shape.count() / count;
      std::copy_n(from.data() + first * width, shape.count(), tensor.data);
      return tensor;
    };
    const auto attend = [&](std::int64_t first, std::int64_t count,
                            std::span<const SequenceSpan> spans, const KvLayer& cache) {
      return latent_attention(ctx, rows_of(q, first, count, {count, kHeads, kKey}),
                              rows_of(latent, first, count, {count, kLatentDim}),
                              rows_of(key_rope, first, count, {count, kRope}), spans, cache,
                              kScale);
    };
    const Tensor whole = attend(0, kRows, two_spans(kA, kB), {});

    // NaN where nothing was stored: what lies beyond a position must not be read.
    std::vector<float> cache_memory(size(6 * kPageTokens * kKey), std::nanf(""));
    const KvLayer cache{cache_memory.data(), kKey};
    const std::vector<std::int32_t> a_pages = {4, 1}, b_pages = {3};
    std::vector<float> chunked;
    const auto run = [&](std::int64_t first, std::int64_t count, std::int64_t start,
                         const std::vector<std::int32_t>& pages) {
      const SequenceSpan span{.first_row = 0, .rows = count, .start = start, .pages = pages};
      const Tensor out = attend(first, count, {&span, 1}, cache);
      chunked.insert(chunked.end(), out.data, out.data + out.shape.count());
    };
    run(0, 33, 0, a_pages);
    run(33, 1, 33, a_pages);
    run(34, 36, 34, a_pages);
    for (std::int64_t t = 0; t < kB; ++t) run(kA + t, 1, t, b_pages);
    EXPECT_TRUE(same_bits(chunked, {whole.data, whole.data + whole.shape.count()}));

    // Both at once, each continuing its sequence at its last token.
    const std::vector<SequenceSpan> last = {
        {.first_row = 0, .rows = 1, .start = kA - 1, .pages = a_pages},
        {.first_row = 1, .rows = 1, .start = kB - 1, .pages = b_pages}};
    Tensor both_q = ctx.make_input({2, kHeads, kKey}),
           both_latent = ctx.make_input({2, kLatentDim});
    Tensor both_rope = ctx.make_input({2, kRope});
    for (std::int64_t i : {0, 1}) {
      const std::int64_t row = i == 0 ? kA - 1 : kRows - 1;
      std::copy_n(q.data() + row * kHeads * kKey, kHeads * kKey, both_q.row(i));
      std::copy_n(latent.data() + row * kLatentDim, kLatentDim, both_latent.row(i));
      std::copy_n(key_rope.data() + row * kRope, kRope, both_rope.row(i));
    }
    const Tensor both = latent_attention(ctx, both_q, both_latent, both_rope, last, cache, kScale);
    for (std::int64_t i : {0, 1}) {
      EXPECT_EQ(std::memcmp(both.row(i), whole.row(i == 0 ? kA - 1 : kRows - 1),
                            size(whole.row_size()) * sizeof(float)),
                0);
    }
  }
}

}  // namespace
}  // namespace r1::gradient_check
