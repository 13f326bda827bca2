#include "ops/ops.h"
#include "ops/parallel.h"
#include "ops/rotate.h"

namespace r1 {
namespace {

// The vectors of all heads of all tokens: [T, heads, stride], of which a product takes the first
// numbers.
struct HeadRows {
  float* data;
  std::int64_t stride;

  float* head(std::int64_t index) const { return data + index * stride; }
};

// One product per head: the first k of x by B [k, n] to the first n of out.
void multiply_heads(Backend& backend, const HeadRows& x, std::int64_t rows, std::int64_t k,
                    const std::vector<PackedMatrix>& matrices, std::int64_t n, const HeadRows& out,
                    bool accumulate) {
  const auto heads = static_cast<std::int64_t>(matrices.size());
  std::vector<MatmulTask> tasks;
  tasks.reserve(matrices.size());
  for (std::int64_t head = 0; head < heads; ++head) {
    const PackedMatrix& matrix = matrices[static_cast<std::size_t>(head)];
    R1_CHECK(matrix.k == k && matrix.n == n, "head {}: {} x {}, not {} x {}", head, matrix.k,
             matrix.n, k, n);
    tasks.push_back({.a = x.head(head),
                     .lda = heads * x.stride,
                     .m = rows,
                     .b = &matrix,
                     .c = out.head(head),
                     .ldc = heads * out.stride,
                     .accumulate = accumulate});
  }
  matmul_grouped(backend, tasks.data(), heads);
}

// The half of each head's block that starts at `first_row`, [n, latent], gets the sum over tokens
// of outer products of the first n of a and the first `latent` of b.
void add_weight_gradients(Backend& backend, Precision precision, LatentUpWeight& weight,
                          std::int64_t first_row, std::int64_t n, const HeadRows& a,
                          const HeadRows& b, std::int64_t rows) {
  float* dw = weight.weight.gradient_data();
  if (dw == nullptr) return;
  const std::int64_t latent = weight.latent(), block = weight.key_dim + weight.value_dim;
  std::vector<WeightGradientTask> tasks;
  tasks.reserve(static_cast<std::size_t>(weight.heads));
  for (std::int64_t head = 0; head < weight.heads; ++head) {
    tasks.push_back({.dy = a.head(head),
                     .dy_stride = weight.heads * a.stride,
                     .x = b.head(head),
                     .x_stride = weight.heads * b.stride,
                     .m = rows,
                     .n = n,
                     .k = latent,
                     .dw = dw + (head * block + first_row) * latent,
                     .dw_stride = latent});
  }
  matmul_weight_gradient_grouped(backend, precision, tasks.data(), weight.heads);
}

void latent_queries_backward(const ForwardContext& ctx, const Tensor& q, LatentUpWeight& weight,
                             const RopeTable& table, const std::vector<std::int32_t>& positions,
                             const Tensor& out) {
  if (!ctx.tape->has_gradient(out)) return;
  const std::int64_t rows = q.rows(), heads = weight.heads, dim = table.dim;
  const std::int64_t key_dim = weight.key_dim, latent = weight.latent();
  const HeadRows queries{q.data, key_dim + dim};
  const HeadRows dout{ctx.tape->gradient(out), latent + dim};
  add_weight_gradients(ctx.backend, ctx.precision, weight, 0, key_dim, queries, dout, rows);
  const Tape::Slot slot = ctx.tape->claim(q);
  if (slot.data == nullptr) return;
  const HeadRows dq{slot.data, queries.stride};
  multiply_heads(ctx.backend, dout, rows, latent, weight.key_backward, key_dim, dq,
                 slot.accumulate);
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  parallel_rows(ctx.backend, rows, heads * dim, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      // In place: nothing reads this gradient any more.
      float* tails = dout.head(t * heads) + latent;
      rotate_heads(kernels, table, positions[static_cast<std::size_t>(t)], -1.0f, heads,
                   dout.stride, tails);
      for (std::int64_t head = 0; head < heads; ++head) {
        add_share(kernels, slot, (t * heads + head) * dq.stride + key_dim, dim,
                  tails + head * dout.stride);
      }
    }
  });
}

}  // namespace

Tensor latent_queries(const ForwardContext& ctx, const Tensor& q, LatentUpWeight& weight,
                      const RopeTable& table, std::span<const std::int32_t> positions) {
  const std::int64_t rows = q.rows(), heads = weight.heads, dim = table.dim;
  const std::int64_t key_dim = weight.key_dim, latent = weight.latent();
  R1_CHECK(q.shape == Shape({rows, heads, key_dim + dim}) && std::ssize(positions) == rows,
           "q {} heads {} key_dim {} rope dim {} positions {}", to_string(q.shape), heads, key_dim,
           dim, positions.size());
  check_positions(table, positions);
  const Tensor out = ctx.make({rows, heads, latent + dim});
  const HeadRows from{q.data, key_dim + dim}, to{out.data, latent + dim};
  multiply_heads(ctx.backend, from, rows, key_dim, weight.key_forward, latent, to, false);
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  parallel_rows(ctx.backend, rows, heads * dim, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      float* tails = to.head(t * heads) + latent;
      for (std::int64_t head = 0; head < heads; ++head) {
        copy_floats(dim, from.head(t * heads + head) + key_dim, tails + head * to.stride);
      }
      rotate_heads(kernels, table, positions[static_cast<std::size_t>(t)], 1.0f, heads, to.stride,
                   tails);
    }
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record([ctx, q, &weight, &table, at = std::vector(positions.begin(), positions.end()),
                      out] { latent_queries_backward(ctx, q, weight, table, at, out); });
  }
  return out;
}

Tensor latent_values(const ForwardContext& ctx, const Tensor& u, LatentUpWeight& weight) {
  const std::int64_t rows = u.rows(), value_dim = weight.value_dim, latent = weight.latent();
  R1_CHECK(u.shape == Shape({rows, weight.heads, latent}), "u {} heads {} latent {}",
           to_string(u.shape), weight.heads, latent);
  const Tensor out = ctx.make({rows, weight.heads, value_dim});
  const HeadRows from{u.data, latent}, to{out.data, value_dim};
  multiply_heads(ctx.backend, from, rows, latent, weight.value_forward, value_dim, to, false);
  if (ctx.tape == nullptr) return out;
  ctx.tape->record([ctx, &weight, u, out, from, rows, value_dim, latent] {
    if (!ctx.tape->has_gradient(out)) return;
    const HeadRows dout{ctx.tape->gradient(out), value_dim};
    if (const Tape::Slot du = ctx.tape->claim(u); du.data != nullptr) {
      multiply_heads(ctx.backend, dout, rows, value_dim, weight.value_backward, latent,
                     {du.data, latent}, du.accumulate);
    }
    add_weight_gradients(ctx.backend, ctx.precision, weight, weight.key_dim, value_dim, dout, from,
                         rows);
  });
  return out;
}

}  // namespace r1
