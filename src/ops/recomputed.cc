#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {
namespace {

using Layer = std::function<Tensor(const ForwardContext&, const Tensor&)>;

// Runs the layer once more on a tape of its own, whose input gradient is the outer tape's, so that
// every sum is made in the order it would have had without recomputation.
void recomputed_backward(const ForwardContext& ctx, const Tensor& x, const Tensor& out,
                         const Layer& layer) {
  if (!ctx.tape->has_gradient(out)) return;
  const float* dout = ctx.tape->gradient(out);
  const Tape::Slot dx = ctx.tape->claim(x);
  const ArenaScope scope(ctx.arena);
  Tape inner(ctx.arena, ctx.backend.observer());
  Tensor input{x.data, x.shape, Tape::kNoNode};
  if (dx.data != nullptr) inner.watch(input, dx);
  const Tensor again = layer({ctx.backend, ctx.arena, ctx.precision, &inner}, input);
  R1_CHECK(again.shape == out.shape, "{} became {}", to_string(out.shape), to_string(again.shape));
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  if (const Tape::Slot seed = inner.claim(again); seed.data != nullptr) {
    ctx.backend.parallel_ranges(out.shape.count(), kTaskElements,
                                [&](std::int64_t first, std::int64_t last) {
                                  add_share(kernels, seed, first, last - first, dout + first);
                                });
  }
  inner.backward();
  // A layer that ignores its input leaves the gradient as it was: zero.
  if (dx.data != nullptr) inner.gradient(input);
}

}  // namespace

Tensor recomputed(const ForwardContext& ctx, const Tensor& x, Layer layer) {
  if (ctx.tape == nullptr) return layer(ctx, x);
  const Arena::Mark mark = ctx.arena.mark();
  const Tensor once = layer({ctx.backend, ctx.arena, ctx.precision, nullptr},
                            Tensor{x.data, x.shape, Tape::kNoNode});
  Tensor out{ctx.arena.keep(mark, once.data, once.shape.count()), once.shape, Tape::kNoNode};
  ctx.tape->watch_result(out);
  ctx.tape->record(
      [ctx, x, out, layer = std::move(layer)] { recomputed_backward(ctx, x, out, layer); });
  return out;
}

}  // namespace r1
