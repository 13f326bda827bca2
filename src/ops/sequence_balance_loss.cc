#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {
namespace {

// With s' = s / sum_j s_j and f_i = experts / (k T_s) * (tokens of the span that chose i), the
// span's loss is the mean over its tokens of dot(f, s'), so it is computed token by token.
struct Saved {
  RoutingConfig config;
  Tensor scores;
  std::vector<SequenceSpan> spans;
  float* fractions = nullptr;  // f [spans, experts], constant for the gradient
  float* sums = nullptr;       // sum_j s_j [T]
  float* terms = nullptr;      // dot(f, s') [T]
};

// body(row, span) for every row of every span.
template <typename Body>
void for_each_row(Backend& backend, std::span<const SequenceSpan> spans, const Body& body) {
  backend.parallel_for(static_cast<std::int64_t>(spans.size()), [&](std::int64_t s) {
    const SequenceSpan& span = spans[static_cast<std::size_t>(s)];
    for (std::int64_t t = span.first_row; t < span.first_row + span.rows; ++t) body(t, s);
  });
}

void balance_backward(const ForwardContext& ctx, const Saved& saved, const Tensor& out,
                      float alpha) {
  if (!ctx.tape->has_gradient(out)) return;
  const float g = ctx.tape->gradient(out)[0] * alpha / static_cast<float>(saved.spans.size());
  float* dscores = ctx.tape->gradient(saved.scores);
  if (dscores == nullptr) return;
  const std::int64_t experts = saved.config.experts;
  for_each_row(ctx.backend, saved.spans, [&](std::int64_t t, std::int64_t s) {
    const float mean = g / static_cast<float>(saved.spans[static_cast<std::size_t>(s)].rows);
    const float* f = saved.fractions + s * experts;
    for (std::int64_t i = 0; i < experts; ++i) {
      dscores[t * experts + i] += mean / saved.sums[t] * (f[i] - saved.terms[t]);
    }
  });
}

}  // namespace

Tensor sequence_balance_loss(const ForwardContext& ctx, const Routing& routing,
                             const RoutingConfig& config, std::span<const SequenceSpan> spans,
                             float alpha) {
  const std::int64_t experts = config.experts, k = config.experts_per_token;
  const std::int64_t rows = routing.scores.rows();
  R1_CHECK(!spans.empty(), "spans {}", spans.size());
  for (const SequenceSpan& span : spans) {
    R1_CHECK(span.rows > 0 && span.first_row >= 0 && span.first_row + span.rows <= rows,
             "rows {} + {} of {}", span.first_row, span.rows, rows);
  }
  const Tensor out = ctx.make({1});
  const Arena::Mark mark = ctx.arena.mark();
  Saved saved{.config = config,
              .scores = routing.scores,
              .spans = {spans.begin(), spans.end()},
              .fractions = ctx.arena.allocate(static_cast<std::int64_t>(spans.size()) * experts),
              .sums = ctx.arena.allocate(rows),
              .terms = ctx.arena.allocate(rows)};
  for (std::size_t s = 0; s < spans.size(); ++s) {
    float* f = saved.fractions + static_cast<std::int64_t>(s) * experts;
    std::fill_n(f, experts, 0.0f);
    const std::int32_t* chosen = routing.experts.data() + spans[s].first_row * k;
    for (std::int64_t i = 0; i < spans[s].rows * k; ++i) f[chosen[i]] += 1.0f;
    const float factor = static_cast<float>(experts) / static_cast<float>(k * spans[s].rows);
    for (std::int64_t i = 0; i < experts; ++i) f[i] *= factor;
  }
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  for_each_row(ctx.backend, spans, [&](std::int64_t t, std::int64_t s) {
    const float* scores = routing.scores.row(t);
    saved.sums[t] = kernels.sum(experts, scores);
    saved.terms[t] = kernels.dot(experts, saved.fractions + s * experts, scores) / saved.sums[t];
  });
  ctx.backend.parallel_for(1, [&](std::int64_t) {
    float total = 0.0f;
    for (const SequenceSpan& span : spans) {
      total += kernels.sum(span.rows, saved.terms + span.first_row) / static_cast<float>(span.rows);
    }
    out.data[0] = alpha * total / static_cast<float>(spans.size());
  });
  if (ctx.tape == nullptr) {
    ctx.arena.reset(mark);
    return out;
  }
  ctx.tape->record(
      [ctx, saved = std::move(saved), out, alpha] { balance_backward(ctx, saved, out, alpha); });
  return out;
}

}  // namespace r1
