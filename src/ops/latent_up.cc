#include "ops/ops.h"

namespace r1 {
namespace {

// One product per head: x [T, heads, k] by B [k, n] to out [T, heads, n].
void multiply_heads(Backend& backend, const float* x, std::int64_t rows, std::int64_t k,
                    const std::vector<PackedMatrix>& matrices, std::int64_t n, float* out,
                    bool accumulate) {
  const auto heads = static_cast<std::int64_t>(matrices.size());
  std::vector<MatmulTask> tasks;
  tasks.reserve(matrices.size());
  for (std::int64_t head = 0; head < heads; ++head) {
    const PackedMatrix& matrix = matrices[static_cast<std::size_t>(head)];
    R1_CHECK(matrix.k == k && matrix.n == n, "head {}: {} x {}, not {} x {}", head, matrix.k,
             matrix.n, k, n);
    tasks.push_back({.a = x + head * k,
                     .lda = heads * k,
                     .m = rows,
                     .b = &matrix,
                     .c = out + head * n,
                     .ldc = heads * n,
                     .accumulate = accumulate});
  }
  matmul_grouped(backend, tasks.data(), heads);
}

// The half of each head's block that starts at `first_row`, [n, latent], gets the sum over tokens
// of outer products of a [T, heads, n] and b [T, heads, latent].
void add_weight_gradients(Backend& backend, Precision precision, LatentUpWeight& weight,
                          std::int64_t first_row, std::int64_t n, const float* a, const float* b,
                          std::int64_t rows) {
  float* dw = weight.weight.gradient_data();
  if (dw == nullptr) return;
  const std::int64_t latent = weight.latent(), block = weight.key_dim + weight.value_dim;
  std::vector<WeightGradientTask> tasks;
  tasks.reserve(static_cast<std::size_t>(weight.heads));
  for (std::int64_t head = 0; head < weight.heads; ++head) {
    tasks.push_back({.dy = a + head * n,
                     .dy_stride = weight.heads * n,
                     .x = b + head * latent,
                     .x_stride = weight.heads * latent,
                     .m = rows,
                     .n = n,
                     .k = latent,
                     .dw = dw + (head * block + first_row) * latent,
                     .dw_stride = latent});
  }
  matmul_weight_gradient_grouped(backend, precision, tasks.data(), weight.heads);
}

}  // namespace

Tensor latent_queries(const ForwardContext& ctx, const Tensor& q, LatentUpWeight& weight) {
  const std::int64_t rows = q.rows(), key_dim = weight.key_dim, latent = weight.latent();
  R1_CHECK(q.shape == Shape({rows, weight.heads, key_dim}), "q {} heads {} key_dim {}",
           to_string(q.shape), weight.heads, key_dim);
  const Tensor out = ctx.make({rows, weight.heads, latent});
  multiply_heads(ctx.backend, q.data, rows, key_dim, weight.key_forward, latent, out.data, false);
  if (ctx.tape == nullptr) return out;
  ctx.tape->record([ctx, q, &weight, out, rows, key_dim, latent] {
    if (!ctx.tape->has_gradient(out)) return;
    const float* dout = ctx.tape->gradient(out);
    if (const Tape::Slot dq = ctx.tape->claim(q); dq.data != nullptr) {
      multiply_heads(ctx.backend, dout, rows, latent, weight.key_backward, key_dim, dq.data,
                     dq.accumulate);
    }
    add_weight_gradients(ctx.backend, ctx.precision, weight, 0, key_dim, q.data, dout, rows);
  });
  return out;
}

Tensor latent_values(const ForwardContext& ctx, const Tensor& u, LatentUpWeight& weight) {
  const std::int64_t rows = u.rows(), value_dim = weight.value_dim, latent = weight.latent();
  R1_CHECK(u.shape == Shape({rows, weight.heads, latent}), "u {} heads {} latent {}",
           to_string(u.shape), weight.heads, latent);
  const Tensor out = ctx.make({rows, weight.heads, value_dim});
  multiply_heads(ctx.backend, u.data, rows, latent, weight.value_forward, value_dim, out.data,
                 false);
  if (ctx.tape == nullptr) return out;
  ctx.tape->record([ctx, u, &weight, out, rows, value_dim, latent] {
    if (!ctx.tape->has_gradient(out)) return;
    const float* dout = ctx.tape->gradient(out);
    if (const Tape::Slot du = ctx.tape->claim(u); du.data != nullptr) {
      multiply_heads(ctx.backend, dout, rows, value_dim, weight.value_backward, latent, du.data,
                     du.accumulate);
    }
    add_weight_gradients(ctx.backend, ctx.precision, weight, weight.key_dim, value_dim, dout,
                         u.data, rows);
  });
  return out;
}

}  // namespace r1
