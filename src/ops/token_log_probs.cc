#include <algorithm>

#include "ops/ops.h"
#include "ops/parallel.h"
#include "ops/row_log_prob.h"

namespace r1 {
namespace {

// Logits that exist at a time, within [kFewestRows, kMostRows] rows. Multiples of 32, the block of
// a bf16 sum over rows, so that the weight's gradient does not depend on the chunks either.
constexpr std::int64_t kChunkElements = std::int64_t{4} << 20;
constexpr std::int64_t kFewestRows = 64, kMostRows = 256;

struct Saved {
  Tensor x;
  std::vector<std::int64_t> rows;     // with a label, ascending
  std::vector<std::int32_t> targets;  // of these rows
  float* lse = nullptr;               // of these rows
  float temperature_inverse = 1.0f;
};

// body(first, count, states, logits) for each chunk of labelled rows: states [count, hidden] are
// gathered and logits [count, vocab] are as the head makes them, unscaled.
template <typename Body>
void for_each_chunk(const ForwardContext& ctx, const Saved& saved, const LinearWeight& head,
                    const Body& body) {
  const std::int64_t hidden = head.in_features(), vocab = head.out_features();
  const auto labelled = static_cast<std::int64_t>(saved.rows.size());
  const std::int64_t chunk = std::clamp(kChunkElements / vocab / 32 * 32, kFewestRows, kMostRows);
  const ArenaScope scope(ctx.arena);
  float* states = ctx.arena.allocate(std::min(chunk, labelled) * hidden);
  float* logits = ctx.arena.allocate(std::min(chunk, labelled) * vocab);
  for (std::int64_t first = 0; first < labelled; first += chunk) {
    const std::int64_t count = std::min(chunk, labelled - first);
    parallel_rows(ctx.backend, count, hidden, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        copy_floats(hidden, saved.x.row(saved.rows[static_cast<std::size_t>(first + i)]),
                    states + i * hidden);
      }
    });
    matmul(ctx.backend, states, hidden, count, head.forward, logits, vocab, false);
    body(first, count, states, logits);
  }
}

void log_probs_backward(const ForwardContext& ctx, const Saved& saved, LinearWeight& head,
                        const Tensor& out) {
  if (!ctx.tape->has_gradient(out)) return;
  const std::int64_t hidden = head.in_features(), vocab = head.out_features();
  const float* dout = ctx.tape->gradient(out);
  float* dx = ctx.tape->gradient(saved.x);
  float* dw = head.weight.gradient_data();
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  const ArenaScope scope(ctx.arena);
  float* dstates = ctx.arena.allocate(
      dx == nullptr ? 0 : std::min<std::int64_t>(kMostRows, std::ssize(saved.rows)) * hidden);
  for_each_chunk(
      ctx, saved, head,
      [&](std::int64_t first, std::int64_t count, const float* states, float* logits) {
        parallel_rows(ctx.backend, count, vocab, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) {
            const auto at = static_cast<std::size_t>(first + i);
            float* row = logits + i * vocab;
            if (saved.temperature_inverse != 1.0f) {
              kernels.scale(vocab, saved.temperature_inverse, row, row);
            }
            const float g = dout[saved.rows[at]] * saved.temperature_inverse;
            kernels.log_prob_gradient(vocab, row, saved.lse[at], saved.targets[at], g, row);
          }
        });
        if (dw != nullptr) {
          matmul_weight_gradient(ctx.backend, head.forward.precision, logits, vocab, states, hidden,
                                 count, vocab, hidden, dw);
        }
        if (dx == nullptr) return;
        matmul(ctx.backend, logits, vocab, count, head.backward, dstates, hidden, false);
        parallel_rows(ctx.backend, count, hidden, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t row = saved.rows[static_cast<std::size_t>(first + i)];
            kernels.add_into(hidden, dstates + i * hidden, dx + row * hidden);
          }
        });
      });
}

}  // namespace

Tensor token_log_probs(const ForwardContext& ctx, const Tensor& x, LinearWeight& head,
                       std::span<const std::int32_t> targets, float temperature_inverse,
                       float* entropy) {
  const std::int64_t tokens = x.rows(), vocab = head.out_features();
  R1_CHECK(static_cast<std::int64_t>(targets.size()) == tokens &&
               x.shape.count() == tokens * head.in_features() && !head.has_bias(),
           "x {} targets {} head {}", to_string(x.shape), targets.size(),
           to_string(head.weight.shape));
  const Tensor out = ctx.make({tokens});
  std::fill_n(out.data, tokens, 0.0f);
  if (entropy != nullptr) std::fill_n(entropy, tokens, 0.0f);
  const Arena::Mark mark = ctx.arena.mark();
  Saved saved{.x = x, .rows = {}, .targets = {}, .temperature_inverse = temperature_inverse};
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int32_t target = targets[static_cast<std::size_t>(t)];
    if (target == kIgnoredLabel) continue;
    R1_CHECK(target >= 0 && target < vocab, "target {} of {}", target, vocab);
    saved.rows.push_back(t);
    saved.targets.push_back(target);
  }
  saved.lse = ctx.arena.allocate(std::ssize(saved.rows));

  const VectorKernels& kernels = ctx.backend.kernels().vector;
  for_each_chunk(
      ctx, saved, head, [&](std::int64_t first, std::int64_t count, const float*, float* logits) {
        parallel_rows(ctx.backend, count, vocab, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) {
            const auto at = static_cast<std::size_t>(first + i);
            float* row = logits + i * vocab;
            const float lse = scaled_log_sum_exp(kernels, vocab, temperature_inverse, row);
            saved.lse[at] = lse;
            out.data[saved.rows[at]] = row_log_prob(row, lse, saved.targets[at]);
            if (entropy != nullptr) entropy[saved.rows[at]] = kernels.entropy(vocab, row, lse);
          }
        });
      });
  if (ctx.tape == nullptr) {
    ctx.arena.reset(mark);
    return out;
  }
  ctx.tape->record(
      [ctx, saved = std::move(saved), &head, out] { log_probs_backward(ctx, saved, head, out); });
  return out;
}

}  // namespace r1
