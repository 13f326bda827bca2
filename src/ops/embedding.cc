#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {
namespace {

// dW[id] += dout, row after row.
void embedding_backward(const ForwardContext& ctx, TableWeight& table, const Tensor& out,
                        const std::vector<std::int32_t>& ids) {
  float* dw = table.weight.gradient_data();
  if (dw == nullptr || !ctx.tape->has_gradient(out)) return;
  const float* dout = ctx.tape->gradient(out);
  const std::int64_t hidden = out.shape[1];
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  parallel_columns(ctx.backend, hidden, [&](std::int64_t first, std::int64_t count) {
    for (std::size_t t = 0; t < ids.size(); ++t) {
      kernels.add_into(count, dout + static_cast<std::int64_t>(t) * hidden + first,
                       dw + ids[t] * hidden + first);
    }
  });
}

}  // namespace

Tensor embedding(const ForwardContext& ctx, TableWeight& table, std::span<const std::int32_t> ids) {
  const std::int64_t vocab = table.weight.shape[0], hidden = table.weight.shape[1];
  for (std::int32_t id : ids) R1_CHECK(id >= 0 && id < vocab, "id {} of {}", id, vocab);
  const auto tokens = static_cast<std::int64_t>(ids.size());
  const Tensor out = ctx.make({tokens, hidden});
  parallel_rows(ctx.backend, tokens, hidden, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      table.read_row(ctx.backend.kernels().vector, ids[static_cast<std::size_t>(t)], out.row(t));
    }
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record([ctx, &table, out, rows = std::vector(ids.begin(), ids.end())] {
      embedding_backward(ctx, table, out, rows);
    });
  }
  return out;
}

}  // namespace r1
