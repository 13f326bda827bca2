#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {
namespace {

void add_backward(const ForwardContext& ctx, const Tensor& a, const Tensor& b, const Tensor& out) {
  if (!ctx.tape->has_gradient(out)) return;
  const float* dout = ctx.tape->gradient(out);
  // b's share first: where both are one tensor, a's is added to it.
  const Tape::Slot db = ctx.tape->claim(b), da = ctx.tape->inherit(a, out);
  if (da.data == nullptr && db.data == nullptr) return;
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  ctx.backend.parallel_ranges(out.shape.count(), kTaskElements,
                              [&](std::int64_t first, std::int64_t last) {
                                if (db.data != nullptr)
                                  add_share(kernels, db, first, last - first, dout + first);
                                if (da.data != nullptr)
                                  add_share(kernels, da, first, last - first, dout + first);
                              });
}

}  // namespace

Tensor add(const ForwardContext& ctx, const Tensor& a, const Tensor& b) {
  R1_CHECK(a.shape == b.shape, "{} {}", to_string(a.shape), to_string(b.shape));
  const Tensor out = ctx.make(a.shape);
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  ctx.backend.parallel_ranges(
      out.shape.count(), kTaskElements, [&](std::int64_t first, std::int64_t last) {
        kernels.add(last - first, a.data + first, b.data + first, out.data + first);
      });
  if (ctx.tape != nullptr) ctx.tape->record([ctx, a, b, out] { add_backward(ctx, a, b, out); });
  return out;
}

}  // namespace r1
