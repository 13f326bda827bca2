#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "ops/ops.h"
#include "ops/parallel.h"
#include "quant/ggml_blocks.h"

// Both kinds of attention store one row [a | b] per token and differ only in where the keys and
// values of a head lie in it: [latent | rotated key], or [all keys | all values].
namespace r1 {
namespace {

// Queries of one task. The key block is widened and transposed once per task, so it should serve
// many rows; results do not depend on it.
constexpr std::int64_t kQueryChunk = 32;

struct Layout {
  std::int64_t heads, kv_heads;
  std::int64_t key_dim, value_dim;
  std::int64_t a_size, b_size;                         // the two parts of a row
  std::int64_t key_stride, value_first, value_stride;  // of one KV head to the next, in a row

  std::int64_t row_size() const { return a_size + b_size; }
  std::int64_t group() const { return heads / kv_heads; }
};

// The pages of all spans, one after the other.
template <typename T>
struct PageTable {
  std::vector<T*> pages;
  std::vector<std::size_t> first;  // of each span

  KvRows<T> rows(std::size_t span, const Layout& layout, std::int64_t kv_head) const {
    return {.pages = pages.data() + first[span],
            .row_stride = layout.row_size(),
            .key_offset = kv_head * layout.key_stride,
            .value_offset = layout.value_first + kv_head * layout.value_stride,
            .key_dim = layout.key_dim,
            .value_dim = layout.value_dim};
  }
  T* row(std::size_t span, std::int64_t position, std::int64_t row_size) const {
    return pages[first[span] + static_cast<std::size_t>(position / kPageTokens)] +
           position % kPageTokens * row_size;
  }
};

// `base` is the cache, or rows of this batch one after the other.
template <typename T>
PageTable<T> page_table(T* base, bool cached, const Layout& layout,
                        std::span<const SequenceSpan> spans) {
  PageTable<T> table;
  table.first.reserve(spans.size());
  for (const SequenceSpan& span : spans) {
    table.first.push_back(table.pages.size());
    const std::int64_t pages = (span.start + span.rows + kPageTokens - 1) / kPageTokens;
    R1_CHECK(!cached || static_cast<std::int64_t>(span.pages.size()) >= pages,
             "{} pages for {} positions", span.pages.size(), span.start + span.rows);
    for (std::int64_t page = 0; page < pages; ++page) {
      const std::int64_t row = cached ? span.pages[static_cast<std::size_t>(page)] * kPageTokens
                                      : span.first_row + page * kPageTokens;
      table.pages.push_back(base + row * layout.row_size());
    }
  }
  return table;
}

template <typename T>
void write_rows(Backend& backend, const Layout& layout, const Tensor& a, const Tensor& b,
                std::span<const SequenceSpan> spans, const PageTable<T>& table) {
  std::vector<T*> targets(static_cast<std::size_t>(a.rows()));
  for (std::size_t s = 0; s < spans.size(); ++s) {
    for (std::int64_t i = 0; i < spans[s].rows; ++i) {
      targets[static_cast<std::size_t>(spans[s].first_row + i)] =
          table.row(s, spans[s].start + i, layout.row_size());
    }
  }
  const VectorKernels& kernels = backend.kernels().vector;
  const auto write = [&](std::int64_t count, const float* from, T* to) {
    if constexpr (std::is_same_v<T, float>) {
      copy_floats(count, from, to);
    } else {
      kernels.round_bf16(count, from, to);
    }
  };
  parallel_rows(backend, a.rows(), layout.row_size(), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      T* row = targets[static_cast<std::size_t>(t)];
      write(layout.a_size, a.data + t * layout.a_size, row);
      write(layout.b_size, b.data + t * layout.b_size, row + layout.a_size);
    }
  });
}

// lse [T, heads] may be null.
template <typename T>
void attend(Backend& backend, const Layout& layout, const float* q,
            std::span<const SequenceSpan> spans, const PageTable<T>& table, float scale, float* out,
            float* lse) {
  struct Task {
    std::size_t span;
    std::int64_t kv_head, first_head, heads, first_token, tokens, cost;
  };
  std::int64_t chunks = 0;
  for (const SequenceSpan& span : spans) chunks += (span.rows + kQueryChunk - 1) / kQueryChunk;
  // A lone decoding sequence still feeds all threads: its heads are shared out.
  const bool few = chunks * layout.kv_heads < backend.threads();
  const std::int64_t heads_per_task =
      few ? (layout.group() + backend.threads() - 1) / backend.threads() : layout.group();

  std::vector<Task> tasks;
  for (std::size_t s = 0; s < spans.size(); ++s) {
    for (std::int64_t first = 0; first < spans[s].rows; first += kQueryChunk) {
      const std::int64_t tokens = std::min(kQueryChunk, spans[s].rows - first);
      for (std::int64_t kv_head = 0; kv_head < layout.kv_heads; ++kv_head) {
        for (std::int64_t head = 0; head < layout.group(); head += heads_per_task) {
          const std::int64_t heads = std::min(heads_per_task, layout.group() - head);
          tasks.push_back({s, kv_head, kv_head * layout.group() + head, heads, first, tokens,
                           tokens * heads * (spans[s].start + first + tokens)});
        }
      }
    }
  }
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const Task& x, const Task& y) { return x.cost > y.cost; });

  const std::int64_t q_stride = layout.heads * layout.key_dim;
  const std::int64_t out_stride = layout.heads * layout.value_dim;
  const AttentionKernels& kernels = backend.kernels().attention;
  backend.parallel_for(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t index) {
    const Task& task = tasks[static_cast<std::size_t>(index)];
    const std::int64_t row = spans[task.span].first_row + task.first_token;
    const AttentionQueries queries{.tokens = task.tokens,
                                   .heads = task.heads,
                                   .start = spans[task.span].start + task.first_token,
                                   .q = q + row * q_stride + task.first_head * layout.key_dim,
                                   .q_token_stride = q_stride,
                                   .scale = scale};
    const KvRows<T> pages = table.rows(task.span, layout, task.kv_head);
    float* task_out = out + row * out_stride + task.first_head * layout.value_dim;
    float* task_lse = lse == nullptr ? nullptr : lse + row * layout.heads + task.first_head;
    if constexpr (std::is_same_v<T, float>) {
      kernels.forward_f32(queries, pages, task_out, out_stride, task_lse, layout.heads);
    } else {
      kernels.forward_bf16(queries, pages, task_out, out_stride, task_lse, layout.heads);
    }
  });
}

// What the backward needs of the forward.
struct Saved {
  std::vector<SequenceSpan> spans;
  void* rows = nullptr;  // [T, row_size] as stored
  float* lse = nullptr;  // [T, heads]
};

// Rounding of the rows is passed straight through.
template <typename T>
void attention_backward(const ForwardContext& ctx, const Layout& layout, const Tensor& q,
                        const Tensor& a, const Tensor& b, const Tensor& out, const Saved& saved,
                        float scale) {
  if (!ctx.tape->has_gradient(out)) return;
  const float* dout = ctx.tape->gradient(out);
  const Tape::Slot dq = ctx.tape->claim(q), da = ctx.tape->claim(a), db = ctx.tape->claim(b);
  const ArenaScope scope(ctx.arena);
  const std::int64_t rows = q.rows(), row_size = layout.row_size();
  const std::int64_t q_stride = layout.heads * layout.key_dim;
  const std::int64_t out_stride = layout.heads * layout.value_dim;
  const Tape::Slot to_q =
      dq.data != nullptr ? dq : Tape::Slot{ctx.arena.allocate(rows * q_stride), false};
  const Tape::Slot to_rows{ctx.arena.allocate(rows * row_size), false};
  parallel_rows(ctx.backend, rows, q_stride, [&](std::int64_t first, std::int64_t last) {
    prepare_share(to_q, first * q_stride, (last - first) * q_stride);
    prepare_share(to_rows, first * row_size, (last - first) * row_size);
  });

  const PageTable<T> table = page_table(static_cast<T*>(saved.rows), false, layout, saved.spans);
  std::vector<std::size_t> order(saved.spans.size());
  for (std::size_t s = 0; s < order.size(); ++s) order[s] = s;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) {
    return saved.spans[x].rows > saved.spans[y].rows;
  });
  const AttentionKernels& kernels = ctx.backend.kernels().attention;
  const auto tasks = static_cast<std::int64_t>(order.size()) * layout.kv_heads;
  ctx.backend.parallel_for(tasks, [&](std::int64_t index) {
    const std::size_t s = order[static_cast<std::size_t>(index / layout.kv_heads)];
    const std::int64_t kv_head = index % layout.kv_heads, head = kv_head * layout.group();
    const std::int64_t row = saved.spans[s].first_row;
    const std::int64_t q_at = row * q_stride + head * layout.key_dim;
    const std::int64_t out_at = row * out_stride + head * layout.value_dim;
    const AttentionQueries queries{.tokens = saved.spans[s].rows,
                                   .heads = layout.group(),
                                   .start = 0,
                                   .q = q.data + q_at,
                                   .q_token_stride = q_stride,
                                   .scale = scale};
    const auto run = [&](const auto kernel) {
      kernel(queries, table.rows(s, layout, kv_head), out.data + out_at, dout + out_at, out_stride,
             saved.lse + row * layout.heads + head, layout.heads, to_q.data + q_at,
             to_rows.data + row * row_size);
    };
    if constexpr (std::is_same_v<T, float>) {
      run(kernels.backward_f32);
    } else {
      run(kernels.backward_bf16);
    }
  });

  const VectorKernels& vector = ctx.backend.kernels().vector;
  const auto scatter = [&](const Tape::Slot& slot, std::int64_t t, std::int64_t first,
                           std::int64_t count) {
    if (slot.data == nullptr) return;
    add_share(vector, slot, t * count, count, to_rows.data + t * row_size + first);
  };
  parallel_rows(ctx.backend, rows, row_size, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      scatter(da, t, 0, layout.a_size);
      scatter(db, t, layout.a_size, layout.b_size);
    }
  });
}

void check_spans(const ForwardContext& ctx, std::span<const SequenceSpan> spans, std::int64_t rows,
                 const KvLayer& cache, const Layout& layout) {
  std::int64_t next = 0;
  for (const SequenceSpan& span : spans) {
    R1_CHECK(span.first_row == next && span.rows > 0 && span.start >= 0,
             "span at row {} after {}: {} rows from {}", span.first_row, next, span.rows,
             span.start);
    R1_CHECK(cache.data != nullptr || span.start == 0, "start {} without a cache", span.start);
    next += span.rows;
  }
  R1_CHECK(next == rows, "spans cover {} of {} rows", next, rows);
  R1_CHECK(cache.data == nullptr || cache.row_size == layout.row_size(), "cache rows of {}, not {}",
           cache.row_size, layout.row_size());
  R1_CHECK(cache.data == nullptr || ctx.tape == nullptr, "rows {}: a tape cannot record a cache",
           rows);
}

template <typename T>
Tensor attention(const ForwardContext& ctx, const Layout& layout, const Tensor& q, const Tensor& a,
                 const Tensor& b, std::span<const SequenceSpan> spans, const KvLayer& cache,
                 float scale) {
  const std::int64_t rows = q.rows();
  check_spans(ctx, spans, rows, cache, layout);
  const Tensor out = ctx.make({rows, layout.heads, layout.value_dim});
  const Arena::Mark mark = ctx.arena.mark();
  Saved saved;
  if (ctx.tape != nullptr) saved.lse = ctx.arena.allocate(rows * layout.heads);
  if (cache.data == nullptr) {
    constexpr std::int64_t kPerFloat = sizeof(float) / sizeof(T);
    saved.rows = ctx.arena.allocate((rows * layout.row_size() + kPerFloat - 1) / kPerFloat);
  }
  T* base = static_cast<T*>(cache.data != nullptr ? cache.data : saved.rows);
  const PageTable<T> table = page_table(base, cache.data != nullptr, layout, spans);
  write_rows(ctx.backend, layout, a, b, spans, table);
  attend(ctx.backend, layout, q.data, spans, table, scale, out.data, saved.lse);
  if (ctx.tape == nullptr) {
    ctx.arena.reset(mark);
    return out;
  }
  saved.spans.assign(spans.begin(), spans.end());
  ctx.tape->record([ctx, layout, q, a, b, out, scale, saved = std::move(saved)] {
    attention_backward<T>(ctx, layout, q, a, b, out, saved, scale);
  });
  return out;
}

// A block of 32 keys or values. Where one is not finite all of them are NaN.
void encode_block(const float* x, std::byte* to) {
  const std::span<const float, kSmallBlock> values(x, kSmallBlock);
  BlockQ8_0 block{round_to_f16(std::numeric_limits<float>::quiet_NaN()), {}};
  if (std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
    block = quantize_q8_0(values);
  }
  std::memcpy(to, &block, sizeof block);
}

// Attention over a cache of Q8_0 blocks: what is attended to is the cached rows decoded to bf16.
Tensor attention_over_blocks(const ForwardContext& ctx, const Layout& layout, const Tensor& q,
                             const Tensor& a, const Tensor& b, std::span<const SequenceSpan> spans,
                             const KvLayer& cache, float scale) {
  constexpr std::int64_t kBlock = kSmallBlock, kBlockBytes = sizeof(BlockQ8_0);
  const std::int64_t rows = q.rows(), row_size = layout.row_size();
  check_spans(ctx, spans, rows, cache, layout);
  R1_CHECK(ctx.precision == Precision::bf16 && layout.a_size % kBlock == 0 &&
               layout.b_size % kBlock == 0,
           "rows of {} and {} in blocks of {}", layout.a_size, layout.b_size, kBlock);
  const Tensor out = ctx.make({rows, layout.heads, layout.value_dim});
  const ArenaScope scope(ctx.arena);

  const std::int64_t row_bytes = row_size / kBlock * kBlockBytes;
  auto* const base = static_cast<std::byte*>(cache.data);
  std::int64_t pages = 0;
  for (const SequenceSpan& span : spans) {
    pages += (span.start + span.rows + kPageTokens - 1) / kPageTokens;
    parallel_rows(ctx.backend, span.rows, row_size, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const std::int64_t position = span.start + i, t = span.first_row + i;
        const std::int64_t page = span.pages[static_cast<std::size_t>(position / kPageTokens)];
        std::byte* to = base + (page * kPageTokens + position % kPageTokens) * row_bytes;
        for (std::int64_t at = 0; at < row_size; at += kBlock, to += kBlockBytes) {
          encode_block(at < layout.a_size ? a.data + t * layout.a_size + at
                                          : b.data + t * layout.b_size + at - layout.a_size,
                       to);
        }
      }
    });
  }

  auto* decoded =
      reinterpret_cast<bf16*>(ctx.arena.allocate((pages * kPageTokens * row_size + 1) / 2));
  struct Page {
    const std::byte* from;
    std::int64_t rows;
  };
  std::vector<Page> work;
  PageTable<bf16> table;
  for (const SequenceSpan& span : spans) {
    table.first.push_back(table.pages.size());
    for (std::int64_t at = 0; at < span.start + span.rows; at += kPageTokens) {
      const std::int64_t page = span.pages[static_cast<std::size_t>(at / kPageTokens)];
      table.pages.push_back(decoded + std::ssize(work) * kPageTokens * row_size);
      work.push_back({base + page * kPageTokens * row_bytes,
                      std::min(kPageTokens, span.start + span.rows - at)});
    }
  }
  const QuantizedKernels& kernels = ctx.backend.kernels().quantized;
  ctx.backend.parallel_for(std::ssize(work), [&](std::int64_t i) {
    const Page& page = work[static_cast<std::size_t>(i)];
    kernels.decode_q8_0_rows(page.from, row_bytes, page.rows, 0, row_size / kBlock,
                             table.pages[static_cast<std::size_t>(i)], row_size);
  });
  attend(ctx.backend, layout, q.data, spans, table, scale, out.data, nullptr);
  return out;
}

Tensor attention_as_stored(const ForwardContext& ctx, const Layout& layout, const Tensor& q,
                           const Tensor& a, const Tensor& b, std::span<const SequenceSpan> spans,
                           const KvLayer& cache, float scale) {
  if (cache.data != nullptr && cache.storage == KvStorage::q8_0) {
    return attention_over_blocks(ctx, layout, q, a, b, spans, cache, scale);
  }
  return ctx.precision == Precision::f32
             ? attention<float>(ctx, layout, q, a, b, spans, cache, scale)
             : attention<bf16>(ctx, layout, q, a, b, spans, cache, scale);
}

}  // namespace

Tensor latent_attention(const ForwardContext& ctx, const Tensor& q, const Tensor& latent,
                        const Tensor& key_rope, std::span<const SequenceSpan> spans,
                        const KvLayer& cache, float scale) {
  const std::int64_t rows = q.rows();
  R1_CHECK(q.shape.rank() == 3 && latent.shape == Shape({rows, latent.row_size()}) &&
               key_rope.shape.count() == rows * (q.shape[2] - latent.shape[1]),
           "q {} latent {} key_rope {}", to_string(q.shape), to_string(latent.shape),
           to_string(key_rope.shape));
  const std::int64_t key_dim = q.shape[2], value_dim = latent.shape[1];
  const Layout layout{.heads = q.shape[1],
                      .kv_heads = 1,
                      .key_dim = key_dim,
                      .value_dim = value_dim,
                      .a_size = value_dim,
                      .b_size = key_dim - value_dim,
                      .key_stride = 0,
                      .value_first = 0,
                      .value_stride = 0};
  return attention_as_stored(ctx, layout, q, latent, key_rope, spans, cache, scale);
}

Tensor grouped_attention(const ForwardContext& ctx, const Tensor& q, const Tensor& k,
                         const Tensor& v, std::span<const SequenceSpan> spans, const KvLayer& cache,
                         float scale) {
  const std::int64_t rows = q.rows();
  R1_CHECK(q.shape.rank() == 3 && k.shape.rank() == 3 && v.shape.rank() == 3 && k.rows() == rows &&
               v.rows() == rows && k.shape[1] == v.shape[1] && k.shape[2] == q.shape[2] &&
               k.shape[1] > 0 && q.shape[1] % k.shape[1] == 0,
           "q {} k {} v {}", to_string(q.shape), to_string(k.shape), to_string(v.shape));
  const std::int64_t kv_heads = k.shape[1], key_dim = k.shape[2], value_dim = v.shape[2];
  const Layout layout{.heads = q.shape[1],
                      .kv_heads = kv_heads,
                      .key_dim = key_dim,
                      .value_dim = value_dim,
                      .a_size = kv_heads * key_dim,
                      .b_size = kv_heads * value_dim,
                      .key_stride = key_dim,
                      .value_first = kv_heads * key_dim,
                      .value_stride = value_dim};
  return attention_as_stored(ctx, layout, q, k, v, spans, cache, scale);
}

}  // namespace r1
