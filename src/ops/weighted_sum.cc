#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {

Tensor weighted_sum(const ForwardContext& ctx, const Tensor& x,
                    std::span<const float> coefficients) {
  const std::int64_t count = x.shape.count();
  R1_CHECK(static_cast<std::int64_t>(coefficients.size()) == count, "x {} coefficients {}",
           to_string(x.shape), coefficients.size());
  const Tensor out = ctx.make({1});
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  // One task: a loss has a few thousand terms, and their sum has one order.
  ctx.backend.parallel_for(
      1, [&](std::int64_t) { out.data[0] = kernels.dot(count, coefficients.data(), x.data); });
  if (ctx.tape == nullptr) return out;
  ctx.tape->record([ctx, x, out, factors = std::vector(coefficients.begin(), coefficients.end())] {
    if (!ctx.tape->has_gradient(out)) return;
    const float g = ctx.tape->gradient(out)[0];
    const Tape::Slot dx = ctx.tape->claim(x);
    if (dx.data == nullptr) return;
    const VectorKernels& vector = ctx.backend.kernels().vector;
    ctx.backend.parallel_ranges(
        x.shape.count(), kTaskElements, [&](std::int64_t first, std::int64_t last) {
          prepare_share(dx, first, last - first);
          vector.multiply_add(last - first, g, factors.data() + first, dx.data + first);
        });
  });
  return out;
}

}  // namespace r1
