#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {
namespace {

// dx[rows[i]] += dout[i] in order of i; rows may repeat, so the work is split over columns.
void select_rows_backward(const ForwardContext& ctx, const Tensor& x, const Tensor& out,
                          const std::vector<std::int32_t>& rows) {
  if (!ctx.tape->has_gradient(out)) return;
  float* dx = ctx.tape->gradient(x);
  if (dx == nullptr) return;
  const float* dout = ctx.tape->gradient(out);
  const std::int64_t size = x.row_size();
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  parallel_columns(ctx.backend, size, [&](std::int64_t first, std::int64_t count) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      kernels.add_into(count, dout + static_cast<std::int64_t>(i) * size + first,
                       dx + rows[i] * size + first);
    }
  });
}

}  // namespace

Tensor select_rows(const ForwardContext& ctx, const Tensor& x, std::span<const std::int32_t> rows) {
  for (std::int32_t row : rows) R1_CHECK(row >= 0 && row < x.rows(), "row {} of {}", row, x.rows());
  const auto count = static_cast<std::int64_t>(rows.size());
  const std::int64_t size = x.row_size();
  const Tensor out = ctx.make({count, size});
  parallel_rows(ctx.backend, count, size, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      copy_floats(size, x.row(rows[static_cast<std::size_t>(i)]), out.data + i * size);
    }
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record([ctx, x, out, chosen = std::vector(rows.begin(), rows.end())] {
      select_rows_backward(ctx, x, out, chosen);
    });
  }
  return out;
}

}  // namespace r1
