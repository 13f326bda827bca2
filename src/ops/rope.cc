#include "ops/ops.h"
#include "ops/parallel.h"
#include "ops/rotate.h"

namespace r1 {
namespace {

void rope_backward(const ForwardContext& ctx, const Tensor& x, const RopeTable& table,
                   const std::vector<std::int32_t>& positions, const Tensor& out) {
  if (!ctx.tape->has_gradient(out)) return;
  const float* dout = ctx.tape->gradient(out);
  const Tape::Slot dx = ctx.tape->claim(x);
  if (dx.data == nullptr) return;
  const std::int64_t rows = x.rows(), size = x.row_size();
  const std::int64_t head_dim = x.shape[x.shape.rank() - 1], heads = size / head_dim;
  const ArenaScope scope(ctx.arena);
  float* rotated = dx.accumulate ? ctx.arena.allocate(rows * size) : dx.data;
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  parallel_rows(ctx.backend, rows, size, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      float* row = rotated + t * size;
      copy_floats(size, dout + t * size, row);
      rotate_heads(kernels, table, positions[static_cast<std::size_t>(t)], -1.0f, heads, head_dim,
                   row + head_dim - table.dim);
      if (dx.accumulate) kernels.add_into(size, row, dx.data + t * size);
    }
  });
}

}  // namespace

Tensor rope(const ForwardContext& ctx, const Tensor& x, const RopeTable& table,
            std::span<const std::int32_t> positions) {
  const std::int64_t rows = x.rows(), size = x.row_size();
  const std::int64_t head_dim = x.shape[x.shape.rank() - 1];
  R1_CHECK(static_cast<std::int64_t>(positions.size()) == rows && table.dim <= head_dim,
           "x {} positions {} rope dim {}", to_string(x.shape), positions.size(), table.dim);
  check_positions(table, positions);
  const Tensor out = ctx.make(x.shape);
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  parallel_rows(ctx.backend, rows, size, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      copy_floats(size, x.row(t), out.row(t));
      rotate_heads(kernels, table, positions[static_cast<std::size_t>(t)], 1.0f, size / head_dim,
                   head_dim, out.row(t) + head_dim - table.dim);
    }
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record([ctx, x, &table, rows = std::vector(positions.begin(), positions.end()), out] {
      rope_backward(ctx, x, table, rows, out);
    });
  }
  return out;
}

}  // namespace r1
