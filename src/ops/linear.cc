#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {
namespace {

void linear_backward(const ForwardContext& ctx, const Tensor& x, LinearWeight& weight,
                     const Tensor& out) {
  if (!ctx.tape->has_gradient(out)) return;
  const std::int64_t rows = x.rows(), in = weight.in_features(), features = weight.out_features();
  const float* dout = ctx.tape->gradient(out);
  if (x.node != Tape::kNoNode) {
    R1_CHECK(weight.backward.k == features && weight.backward.n == in,
             "{} was not refreshed for training", weight.weight.name);
    const Tape::Slot dx = ctx.tape->claim(x);
    matmul(ctx.backend, dout, features, rows, weight.backward, dx.data, in, dx.accumulate);
  }
  if (float* dw = weight.weight.gradient_data(); dw != nullptr) {
    matmul_weight_gradient(ctx.backend, weight.forward.precision, dout, features, x.data, in, rows,
                           features, in, dw);
  }
  if (float* db = weight.has_bias() ? weight.bias.gradient_data() : nullptr; db != nullptr) {
    const VectorKernels& kernels = ctx.backend.kernels().vector;
    parallel_columns(ctx.backend, features, [&](std::int64_t first, std::int64_t count) {
      for (std::int64_t t = 0; t < rows; ++t) {
        kernels.add_into(count, dout + t * features + first, db + first);
      }
    });
  }
}

}  // namespace

Tensor linear(const ForwardContext& ctx, const Tensor& x, LinearWeight& weight) {
  const std::int64_t rows = x.rows(), in = weight.in_features(), features = weight.out_features();
  R1_CHECK(x.shape.count() == rows * in, "x {} weight {} {}", to_string(x.shape),
           weight.weight.name, to_string(weight.weight.shape));
  R1_CHECK(weight.forward.k == in && weight.forward.n == features, "{} was not refreshed",
           weight.weight.name);
  const Tensor out = ctx.make({rows, features});
  if (rows == 0) return out;
  matmul(ctx.backend, x.data, in, rows, weight.forward, out.data, features, false);
  if (weight.has_bias()) {
    const VectorKernels& kernels = ctx.backend.kernels().vector;
    parallel_rows(ctx.backend, rows, features, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t t = first; t < last; ++t) {
        kernels.add_into(features, weight.bias_working.data(), out.row(t));
      }
    });
  }
  if (ctx.tape != nullptr) {
    ctx.tape->record([ctx, x, &weight, out] { linear_backward(ctx, x, weight, out); });
  }
  return out;
}

}  // namespace r1
