#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {
namespace {

// rstd [rows] as the forward found it.
void rms_norm_backward(const ForwardContext& ctx, const Tensor& x, TableWeight& weight,
                       const Tensor& out, const float* rstd) {
  if (!ctx.tape->has_gradient(out)) return;
  const std::int64_t n = weight.weight.count(), rows = x.shape.count() / n;
  const float* dout = ctx.tape->gradient(out);
  const VectorKernels& kernels = ctx.backend.kernels().vector;

  const Tape::Slot dx = ctx.tape->claim(x);
  if (dx.data != nullptr) {
    parallel_rows(ctx.backend, rows, n, [&](std::int64_t first, std::int64_t last) {
      prepare_share(dx, first * n, (last - first) * n);
      for (std::int64_t t = first; t < last; ++t) {
        kernels.rms_norm_backward(n, x.data + t * n, weight.data(), rstd[t], dout + t * n,
                                  dx.data + t * n);
      }
    });
  }
  float* dw = weight.weight.gradient_data();
  if (dw == nullptr) return;
  parallel_columns(ctx.backend, n, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t t = 0; t < rows; ++t) {
      kernels.rms_norm_weight_gradient(count, x.data + t * n + first, rstd[t], dout + t * n + first,
                                       dw + first);
    }
  });
}

}  // namespace

Tensor rms_norm(const ForwardContext& ctx, const Tensor& x, TableWeight& weight, float eps) {
  const std::int64_t n = weight.weight.count();
  R1_CHECK(n > 0 && x.shape.rank() > 0 && x.shape[x.shape.rank() - 1] == n, "x {} weight {}",
           to_string(x.shape), to_string(weight.weight.shape));
  const std::int64_t rows = x.shape.count() / n;
  const Tensor out = ctx.make(x.shape);
  float* rstd = ctx.tape != nullptr ? ctx.arena.allocate(rows) : nullptr;
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  parallel_rows(ctx.backend, rows, n, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      const float r = kernels.rms_norm(n, x.data + t * n, weight.data(), eps, out.data + t * n);
      if (rstd != nullptr) rstd[t] = r;
    }
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record(
        [ctx, x, &weight, out, rstd] { rms_norm_backward(ctx, x, weight, out, rstd); });
  }
  return out;
}

}  // namespace r1
