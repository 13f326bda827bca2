#pragma once

#include <cstdint>

#include "backend/attention_kernels.h"
#include "backend/cpu/generic/attention_tiles.h"
#include "backend/cpu/generic/exp.h"

namespace r1::cpu::generic {

// Attention for one instruction set (docs/numerics.md, "Attention").
//
// Query rows (token-major, then head) go in chunks that share each pass over the keys, which come
// in spans of a page at most. Scores are laid out [key][row], so lanes are rows: the maximum and
// the sum of a block run over vectors of rows and need no shuffling, and a chain over key_dim or
// over keys is a chain of its lane.
template <class Set>
struct Attention {
  using F32x16 = typename Set::F32x16;
  using Tiles = AttentionTiles<Set>;
  static constexpr std::int64_t kLanes = 16;
  static constexpr std::int64_t kChunkRows = Tiles::kChunkRows;
  static constexpr std::int64_t kSpan = kPageTokens;
  static constexpr std::int64_t kDots = (kSpan + Tiles::kDotPadding) * kChunkRows;
  static_assert(kPageTokens % kAttentionBlock == 0 && kAttentionBlock == kLanes);

  // Scratch on the stack, in floats: the chunk's rows transposed, and a span of widened keys. Both
  // hold at least 16 rows of kMaxAttentionDims. With the scores it comes to less than 512 KiB.
  static constexpr std::int64_t kRowScratch = 65536;
  static constexpr std::int64_t kKeyScratch = 36864;
  static_assert(kRowScratch >= kLanes * kMaxAttentionDims);
  static_assert(kKeyScratch >= kLanes * kMaxAttentionDims);

  // Where the maximum starts: no finite score is lower, and unlike -infinity it may be subtracted
  // from itself, so a score of -infinity has weight 0 even in the first block.
  static constexpr float kLowest = -kLargestFinite;

  // Rows per chunk, a multiple of 16, such that `dims` floats of each fit the scratch.
  static std::int64_t chunk_rows(std::int64_t dims) {
    const std::int64_t fit = kRowScratch / dims / kLanes * kLanes;
    return fit < kChunkRows ? fit : kChunkRows;
  }

  // The rows [first, first + count) of a call and how many keys each sees. Arrays over them are
  // padded to whole groups of 16 by repeating the last row.
  struct RowChunk {
    std::int64_t heads, token, head;  // of the first row
    std::int64_t count, groups;
    std::int64_t visible[kChunkRows];

    RowChunk(const AttentionQueries& queries, std::int64_t first, std::int64_t most)
        : heads(queries.heads), token(first / heads), head(first % heads) {
      const std::int64_t left = queries.tokens * heads - first;
      count = left < most ? left : most;
      groups = (count + kLanes - 1) / kLanes;
      each([&](std::int64_t r, std::int64_t t, std::int64_t) {
        visible[r] = queries.start + t + 1;
      });
    }

    // body(row, token, head), padding included. Counted along, since a division costs more than
    // everything else that is done per row.
    template <typename Body>
    void each(const Body& body) const {
      std::int64_t t = token, h = head;
      for (std::int64_t r = 0; r < groups * kLanes; ++r) {
        body(r, t, h);
        if (r + 1 >= count) continue;
        if (++h == heads) h = 0, ++t;
      }
    }

    // Where the rows of a [tokens, heads, dim] array lie.
    template <typename T>
    void rows(T* base, std::int64_t token_stride, std::int64_t dim, T** out) const {
      each([&](std::int64_t r, std::int64_t t, std::int64_t h) {
        out[r] = base + t * token_stride + h * dim;
      });
    }

    std::int64_t last_visible() const { return visible[count - 1]; }
    // Keys of [begin, begin + count) that the last row of a group sees.
    std::int64_t keys_of_group(std::int64_t group, std::int64_t begin, std::int64_t keys) const {
      const std::int64_t seen = visible[group * kLanes + kLanes - 1] - begin;
      return seen < 0 ? 0 : seen < keys ? seen : keys;
    }
  };

  static void transpose_chunk(const float* const* rows, std::int64_t groups, std::int64_t dim,
                              float* columns) {
    for (std::int64_t g = 0; g < groups; ++g) {
      Tiles::transpose_rows(rows + g * kLanes, dim, columns + g * kLanes * dim);
    }
  }

  // Key and value rows as f32, where they lie or widened into scratch.
  struct KeySpan {
    const float* keys;
    const float* values;
    std::int64_t key_stride, value_stride;
  };

  static std::int64_t span_keys(const KvRows<float>&) { return kSpan; }
  static KeySpan load_span(const KvRows<float>& kv, std::int64_t first, std::int64_t, float*) {
    const float* row = kv.pages[first / kPageTokens] + first % kPageTokens * kv.row_stride;
    return {row + kv.key_offset, row + kv.value_offset, kv.row_stride, kv.row_stride};
  }

  static bool value_inside_key(const KvRows<bf16>& kv) {
    return kv.value_offset >= kv.key_offset &&
           kv.value_offset + kv.value_dim <= kv.key_offset + kv.key_dim;
  }
  // A divisor of the page, so that a span never crosses pages.
  static std::int64_t span_keys(const KvRows<bf16>& kv) {
    const std::int64_t dims = kv.key_dim + (value_inside_key(kv) ? 0 : kv.value_dim);
    std::int64_t keys = kSpan;
    while (keys * dims > kKeyScratch) keys /= 2;
    return keys;
  }
  static KeySpan load_span(const KvRows<bf16>& kv, std::int64_t first, std::int64_t keys,
                           float* scratch) {
    const bf16* row = kv.pages[first / kPageTokens] + first % kPageTokens * kv.row_stride;
    widen_rows(row + kv.key_offset, kv.row_stride, keys, kv.key_dim, scratch);
    if (value_inside_key(kv)) {
      return {scratch, scratch + (kv.value_offset - kv.key_offset), kv.key_dim, kv.key_dim};
    }
    float* values = scratch + keys * kv.key_dim;
    widen_rows(row + kv.value_offset, kv.row_stride, keys, kv.value_dim, values);
    return {scratch, values, kv.key_dim, kv.value_dim};
  }
  static void widen_rows(const bf16* from, std::int64_t stride, std::int64_t rows, std::int64_t dim,
                         float* to) {
    for (std::int64_t j = 0; j < rows; ++j, from += stride, to += dim) {
      std::int64_t d = 0;
      for (; d + kLanes <= dim; d += kLanes) F32x16::load(from + d).store(to + d);
      if (d < dim) F32x16::load_first(from + d, dim - d).store_first(to + d, dim - d);
    }
  }

  // dots[j][row] for the keys of a span that each group's last row sees.
  static void dot_chunk(const RowChunk& chunk, std::int64_t first, std::int64_t keys,
                        std::int64_t dim, const float* columns, const float* rows,
                        std::int64_t row_stride, float* dots) {
    constexpr std::int64_t kGroups = Set::kDotGroups;
    std::int64_t g = 0;
    for (; g + kGroups <= chunk.groups; g += kGroups) {
      Tiles::template dot_groups<kGroups>(chunk.keys_of_group(g + kGroups - 1, first, keys), dim,
                                          columns + g * kLanes * dim, rows, row_stride,
                                          dots + g * kLanes);
    }
    for (; g < chunk.groups; ++g) {
      Tiles::template dot_groups<1>(chunk.keys_of_group(g, first, keys), dim,
                                    columns + g * kLanes * dim, rows, row_stride,
                                    dots + g * kLanes);
    }
  }

  // --- forward

  struct SoftmaxState {
    alignas(64) float maximum[kChunkRows];
    alignas(64) float sum[kChunkRows];
  };

  // One block of keys for one group of rows: dots become weights exp(score - maximum). If not
  // kWhole, lane r sees the first seen[r] keys of the block, of which only the first `keys` exist.
  template <bool kWhole>
  static void softmax_block(float scale, std::int64_t keys, const float* seen, float* dots,
                            float* maximum, float* sum, float* correction) {
    constexpr int kKeys = kAttentionBlock;
    const F32x16 factor = F32x16::broadcast(scale);
    const F32x16 old_maximum = F32x16::load(maximum);
    const F32x16 seen_keys = kWhole ? F32x16::zero() : F32x16::load(seen);
    const auto visible = [&](int j) {
      return less(F32x16::broadcast(static_cast<float>(j)), seen_keys);
    };
    F32x16 scores[kKeys], top = old_maximum;
#pragma GCC unroll 16
    for (int j = 0; j < kKeys; ++j) {
      if (!kWhole && j >= keys) break;
      scores[j] = factor * F32x16::load(dots + j * kChunkRows);
      const F32x16 higher = max(scores[j], top);
      top = kWhole ? higher : select(visible(j), higher, top);
    }
    const F32x16 rescale = exp(old_maximum - top);
#pragma GCC unroll 16
    for (int j = 0; j < kKeys; ++j) {
      if (!kWhole && j >= keys) {
        scores[j] = F32x16::zero();
        continue;
      }
      const F32x16 weight = exp(scores[j] - top);
      scores[j] = kWhole ? weight : select(visible(j), weight, F32x16::zero());
      scores[j].store(dots + j * kChunkRows);
    }
#pragma GCC unroll 4
    for (int half = kKeys / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
      for (int j = 0; j < half; ++j) scores[j] = scores[j] + scores[j + half];
    }
    (F32x16::load(sum) * rescale + scores[0]).store(sum);
    top.store(maximum);
    rescale.store(correction);
  }

  static void softmax_span(const RowChunk& chunk, std::int64_t first, std::int64_t keys,
                           float scale, float* dots, SoftmaxState& state, float* corrections) {
    for (std::int64_t g = 0; g < chunk.groups; ++g) {
      const std::int64_t group_keys = chunk.keys_of_group(g, first, keys);
      const std::int64_t* visible = chunk.visible + g * kLanes;
      float* maximum = state.maximum + g * kLanes;
      float* sum = state.sum + g * kLanes;
      for (std::int64_t begin = 0; begin < group_keys; begin += kAttentionBlock) {
        float* block = dots + begin * kChunkRows + g * kLanes;
        float* correction = corrections + begin / kAttentionBlock * kChunkRows + g * kLanes;
        if (visible[0] - first - begin >= kAttentionBlock) {
          softmax_block<true>(scale, kAttentionBlock, nullptr, block, maximum, sum, correction);
          continue;
        }
        alignas(64) float seen[kLanes];
        for (std::int64_t r = 0; r < kLanes; ++r) {
          seen[r] = static_cast<float>(visible[r] - first - begin);
        }
        softmax_block<false>(scale, group_keys - begin, seen, block, maximum, sum, correction);
      }
    }
  }

  static void scale_row(float* row, std::int64_t dim, float factor) {
    const F32x16 f = F32x16::broadcast(factor);
    std::int64_t c = 0;
    for (; c + kLanes <= dim; c += kLanes) (F32x16::load(row + c) * f).store(row + c);
    if (c < dim) (F32x16::load_first(row + c, dim - c) * f).store_first(row + c, dim - c);
  }

  // Keys of [first, first + keys) that each row sees.
  static void count_keys(const RowChunk& chunk, std::int64_t first, std::int64_t keys,
                         std::int64_t* counts) {
    for (std::int64_t r = 0; r < chunk.count; ++r) {
      const std::int64_t seen = chunk.visible[r] - first;
      counts[r] = seen < 0 ? 0 : seen < keys ? seen : keys;
    }
  }

  template <typename T>
  static void forward(const AttentionQueries& queries, const KvRows<T>& kv, float* out,
                      std::int64_t out_token_stride, float* lse, std::int64_t lse_token_stride) {
    check_attention(queries, kv.key_dim, kv.value_dim);
    alignas(64) float columns[kRowScratch];
    alignas(64) float key_scratch[kKeyScratch];
    alignas(64) float dots[kDots];
    alignas(64) float corrections[kSpan / kAttentionBlock * kChunkRows];
    SoftmaxState state;
    const float* query_rows[kChunkRows];
    float* out_rows[kChunkRows];
    std::int64_t key_counts[kChunkRows];

    const std::int64_t rows = queries.tokens * queries.heads;
    const std::int64_t chunk_size = chunk_rows(kv.key_dim);
    const std::int64_t span = span_keys(kv);
    for (std::int64_t first_row = 0; first_row < rows; first_row += chunk_size) {
      const RowChunk chunk(queries, first_row, chunk_size);
      chunk.rows(queries.q, queries.q_token_stride, kv.key_dim, query_rows);
      chunk.rows(out, out_token_stride, kv.value_dim, out_rows);
      transpose_chunk(query_rows, chunk.groups, kv.key_dim, columns);
      for (std::int64_t g = 0; g < chunk.groups; ++g) {
        F32x16::broadcast(kLowest).store(state.maximum + g * kLanes);
        F32x16::zero().store(state.sum + g * kLanes);
      }

      const std::int64_t last = chunk.last_visible();
      for (std::int64_t first = 0; first < last; first += span) {
        const std::int64_t keys = last - first < span ? last - first : span;
        const KeySpan s = load_span(kv, first, keys, key_scratch);
        dot_chunk(chunk, first, keys, kv.key_dim, columns, s.keys, s.key_stride, dots);
        softmax_span(chunk, first, keys, queries.scale, dots, state, corrections);
        count_keys(chunk, first, keys, key_counts);
        Tiles::weighted_sums({dots, corrections, s.values, s.value_stride, out_rows, first == 0},
                             key_counts, chunk.count, kv.value_dim);
      }
      finish(chunk, state, kv.value_dim, out_rows, lse, lse_token_stride);
    }
  }

  // Divides by the sums and tells the logarithms.
  static void finish(const RowChunk& chunk, const SoftmaxState& state, std::int64_t value_dim,
                     float* const* out_rows, float* lse, std::int64_t lse_token_stride) {
    alignas(64) float inverse[kChunkRows];
    alignas(64) float log_sum[kChunkRows];
    for (std::int64_t r = 0; r < chunk.count; r += kLanes) {
      const F32x16 sum = F32x16::load(state.sum + r);
      (F32x16::broadcast(1.0f) / sum).store(inverse + r);
      (F32x16::load(state.maximum + r) + log(sum)).store(log_sum + r);
    }
    for (std::int64_t r = 0; r < chunk.count; ++r) scale_row(out_rows[r], value_dim, inverse[r]);
    if (lse != nullptr) {
      chunk.each([&](std::int64_t r, std::int64_t t, std::int64_t h) {
        lse[t * lse_token_stride + h] = log_sum[r < chunk.count ? r : chunk.count - 1];
      });
    }
  }

  // --- backward

  // 16-lane sum of a[i] * b[i].
  static float dot_row(const float* a, const float* b, std::int64_t dim) {
    F32x16 sum = F32x16::zero();
    std::int64_t c = 0;
    for (; c + kLanes <= dim; c += kLanes) sum = fma(F32x16::load(a + c), F32x16::load(b + c), sum);
    if (c < dim) {
      sum = fma(F32x16::load_first(a + c, dim - c), F32x16::load_first(b + c, dim - c), sum);
    }
    return reduce_add(sum);
  }

  // Dots of q . k become weights P = exp(score - lse), dots of dout . v the scaled gradient of the
  // score, P * (dP - D) * scale.
  static void gradient_span(const RowChunk& chunk, std::int64_t first, std::int64_t keys,
                            float scale, const float* lse, const float* deltas, float* dots,
                            float* value_dots) {
    const F32x16 factor = F32x16::broadcast(scale);
    for (std::int64_t g = 0; g < chunk.groups; ++g) {
      const std::int64_t group_keys = chunk.keys_of_group(g, first, keys);
      const F32x16 log_sum = F32x16::load(lse + g * kLanes);
      const F32x16 delta = F32x16::load(deltas + g * kLanes);
      for (std::int64_t j = 0; j < group_keys; ++j) {
        float* dot = dots + j * kChunkRows + g * kLanes;
        float* value_dot = value_dots + j * kChunkRows + g * kLanes;
        const F32x16 weight = exp(factor * F32x16::load(dot) - log_sum);
        weight.store(dot);
        (weight * (F32x16::load(value_dot) - delta) * factor).store(value_dot);
      }
    }
  }

  // Adds the chunk's outer products to the gradient rows of a span, column range by column range
  // according to what lies there: key, value, or both.
  template <typename T>
  static void add_key_gradients(const AttentionQueries& queries, const RowChunk& chunk,
                                const KvRows<T>& kv, std::int64_t first, std::int64_t keys,
                                const float* score_gradients, const float* weights,
                                const float* const* query_rows, const float* const* dout_rows,
                                float* dkv) {
    std::int64_t first_rows[kSpan];  // the first row of the chunk that sees the key
    for (std::int64_t j = 0; j < keys; ++j) {
      const std::int64_t row = (first + j - queries.start - chunk.token) * chunk.heads - chunk.head;
      first_rows[j] = row < 0 ? 0 : row;
    }
    const std::int64_t key_end = kv.key_offset + kv.key_dim;
    const std::int64_t value_end = kv.value_offset + kv.value_dim;
    std::int64_t cuts[4] = {kv.key_offset, kv.value_offset, key_end, value_end};
    for (int i = 1; i < 4; ++i) {
      for (int j = i; j > 0 && cuts[j] < cuts[j - 1]; --j) {
        const std::int64_t lower = cuts[j];
        cuts[j] = cuts[j - 1];
        cuts[j - 1] = lower;
      }
    }
    const typename Tiles::OuterTerm key_term{score_gradients, query_rows, kv.key_offset};
    const typename Tiles::OuterTerm value_term{weights, dout_rows, kv.value_offset};
    float* rows = dkv + first * kv.row_stride;
    for (int i = 0; i < 3; ++i) {
      const std::int64_t begin = cuts[i], end = cuts[i + 1];
      if (begin == end) continue;
      const bool in_key = kv.key_offset <= begin && end <= key_end;
      const bool in_value = kv.value_offset <= begin && end <= value_end;
      if (in_key && in_value) {
        const typename Tiles::OuterTerm terms[2] = {key_term, value_term};
        Tiles::template outer_products<2>(terms, first_rows, chunk.count, keys, begin, end, rows,
                                          kv.row_stride);
      } else if (in_key || in_value) {
        Tiles::template outer_products<1>(in_key ? &key_term : &value_term, first_rows, chunk.count,
                                          keys, begin, end, rows, kv.row_stride);
      }
    }
  }

  template <typename T>
  static void backward(const AttentionQueries& queries, const KvRows<T>& kv, const float* out,
                       const float* dout, std::int64_t out_token_stride, const float* lse,
                       std::int64_t lse_token_stride, float* dq, float* dkv) {
    check_attention(queries, kv.key_dim, kv.value_dim);
    alignas(64) float columns[kRowScratch];
    alignas(64) float key_scratch[kKeyScratch];
    alignas(64) float dots[kDots];
    alignas(64) float value_dots[kDots];
    alignas(64) float chunk_lse[kChunkRows];
    alignas(64) float deltas[kChunkRows];
    const float* query_rows[kChunkRows];
    const float* out_rows[kChunkRows];
    const float* dout_rows[kChunkRows];
    float* dq_rows[kChunkRows];
    std::int64_t key_counts[kChunkRows];

    const std::int64_t rows = queries.tokens * queries.heads;
    const std::int64_t chunk_size = chunk_rows(kv.key_dim + kv.value_dim);
    const std::int64_t span = span_keys(kv);
    for (std::int64_t first_row = 0; first_row < rows; first_row += chunk_size) {
      const RowChunk chunk(queries, first_row, chunk_size);
      chunk.rows(queries.q, queries.q_token_stride, kv.key_dim, query_rows);
      chunk.rows(dq, queries.q_token_stride, kv.key_dim, dq_rows);
      chunk.rows(out, out_token_stride, kv.value_dim, out_rows);
      chunk.rows(dout, out_token_stride, kv.value_dim, dout_rows);
      float* dout_columns = columns + chunk.groups * kLanes * kv.key_dim;
      transpose_chunk(query_rows, chunk.groups, kv.key_dim, columns);
      transpose_chunk(dout_rows, chunk.groups, kv.value_dim, dout_columns);
      chunk.each([&](std::int64_t r, std::int64_t t, std::int64_t h) {
        chunk_lse[r] = lse[t * lse_token_stride + h];
        deltas[r] = dot_row(dout_rows[r], out_rows[r], kv.value_dim);
      });

      const std::int64_t last = chunk.last_visible();
      for (std::int64_t first = 0; first < last; first += span) {
        const std::int64_t keys = last - first < span ? last - first : span;
        const KeySpan s = load_span(kv, first, keys, key_scratch);
        dot_chunk(chunk, first, keys, kv.key_dim, columns, s.keys, s.key_stride, dots);
        dot_chunk(chunk, first, keys, kv.value_dim, dout_columns, s.values, s.value_stride,
                  value_dots);
        gradient_span(chunk, first, keys, queries.scale, chunk_lse, deltas, dots, value_dots);
        count_keys(chunk, first, keys, key_counts);
        Tiles::weighted_sums({value_dots, nullptr, s.keys, s.key_stride, dq_rows, false},
                             key_counts, chunk.count, kv.key_dim);
        add_key_gradients(queries, chunk, kv, first, keys, value_dots, dots, query_rows, dout_rows,
                          dkv);
      }
    }
  }

  static const AttentionKernels& kernels() {
    static constexpr AttentionKernels kKernels{&forward<float>, &forward<bf16>, &backward<float>,
                                               &backward<bf16>};
    return kKernels;
  }
};

}  // namespace r1::cpu::generic
