#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {
namespace {

// Rows of an expert lie together, in token order; experts follow one another.
struct Dispatch {
  std::vector<std::int64_t> first;        // [experts + 1] first row of each expert
  std::vector<std::int32_t> slot_of_row;  // [T * k] token * k + slot
  std::vector<std::int32_t> row_of_slot;  // [T * k] the inverse

  std::int64_t rows() const { return first.back(); }
  std::int64_t rows_of(std::size_t expert) const { return first[expert + 1] - first[expert]; }
};

Dispatch dispatch_rows(const Routing& routing, std::size_t experts) {
  Dispatch dispatch;
  dispatch.first.resize(experts + 1);
  for (std::int32_t expert : routing.experts) {
    R1_CHECK(expert >= 0 && static_cast<std::size_t>(expert) < experts, "expert {} of {}", expert,
             experts);
    ++dispatch.first[static_cast<std::size_t>(expert) + 1];
  }
  for (std::size_t e = 0; e < experts; ++e) dispatch.first[e + 1] += dispatch.first[e];
  std::vector<std::int64_t> next(dispatch.first.begin(), dispatch.first.end() - 1);
  dispatch.slot_of_row.resize(routing.experts.size());
  dispatch.row_of_slot.resize(routing.experts.size());
  for (std::size_t slot = 0; slot < routing.experts.size(); ++slot) {
    const std::int64_t row = next[static_cast<std::size_t>(routing.experts[slot])]++;
    dispatch.slot_of_row[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(slot);
    dispatch.row_of_slot[slot] = static_cast<std::int32_t>(row);
  }
  return dispatch;
}

struct Saved {
  Tensor x, weights;
  Dispatch dispatch;
  float* gate = nullptr;  // [T * k, intermediate]
  float* up = nullptr;    // [T * k, intermediate]
  std::int64_t k = 0, hidden = 0, intermediate = 0;

  std::int64_t token_of_row(std::int64_t row) const {
    return dispatch.slot_of_row[static_cast<std::size_t>(row)] / k;
  }
};

// out [T * k, hidden] = the token's row of `from` for each dispatched row.
void gather(Backend& backend, const Saved& saved, const float* from, float* out) {
  const std::int64_t hidden = saved.hidden;
  parallel_rows(backend, saved.dispatch.rows(), hidden, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      copy_floats(hidden, from + saved.token_of_row(row) * hidden, out + row * hidden);
    }
  });
}

// Products of all chosen experts at once, and likewise their weight gradients.
class ExpertProducts {
 public:
  explicit ExpertProducts(const Dispatch& dispatch) : dispatch_(dispatch) {}

  // out rows (+)= a rows times one packed matrix of each expert.
  template <typename MatrixOf>
  void add(const float* a, std::int64_t k, float* out, std::int64_t n, bool accumulate,
           const MatrixOf& matrix_of) {
    for (std::size_t e = 0; e + 1 < dispatch_.first.size(); ++e) {
      if (dispatch_.rows_of(e) == 0) continue;
      const PackedMatrix& matrix = matrix_of(e);
      R1_CHECK(matrix.k == k && matrix.n == n, "expert {}: {} x {}, not {} x {}", e, matrix.k,
               matrix.n, k, n);
      matmuls_.push_back({.a = a + dispatch_.first[e] * k,
                          .lda = k,
                          .m = dispatch_.rows_of(e),
                          .b = &matrix,
                          .c = out + dispatch_.first[e] * n,
                          .ldc = n,
                          .accumulate = accumulate});
    }
  }

  // dW [n, k] of each expert += dy^T x over its rows.
  template <typename WeightOf>
  void add_gradient(const float* dy, std::int64_t n, const float* x, std::int64_t k,
                    const WeightOf& weight_of) {
    for (std::size_t e = 0; e + 1 < dispatch_.first.size(); ++e) {
      if (dispatch_.rows_of(e) == 0) continue;
      float* dw = weight_of(e).weight.gradient_data();
      if (dw == nullptr) continue;
      gradients_.push_back({.dy = dy + dispatch_.first[e] * n,
                            .dy_stride = n,
                            .x = x + dispatch_.first[e] * k,
                            .x_stride = k,
                            .m = dispatch_.rows_of(e),
                            .n = n,
                            .k = k,
                            .dw = dw,
                            .dw_stride = k});
    }
  }

  void run(Backend& backend, Precision precision) {
    if (!matmuls_.empty()) {
      matmul_grouped(backend, matmuls_.data(), static_cast<std::int64_t>(matmuls_.size()));
    }
    if (!gradients_.empty()) {
      matmul_weight_gradient_grouped(backend, precision, gradients_.data(),
                                     static_cast<std::int64_t>(gradients_.size()));
    }
    matmuls_.clear();
    gradients_.clear();
  }

 private:
  const Dispatch& dispatch_;
  std::vector<MatmulTask> matmuls_;
  std::vector<WeightGradientTask> gradients_;
};

// Expert outputs are not kept: with u = W_down^T dy, the gradient of a routing weight is dot(act,
// u) and that of the activation weight * u.
void experts_backward(const ForwardContext& ctx, const Saved& saved,
                      std::span<ExpertWeight> weights, const Tensor& out) {
  Tape& tape = *ctx.tape;
  if (!tape.has_gradient(out)) return;
  const float* dout = tape.gradient(out);
  const Tape::Slot dx = tape.claim(saved.x), dweights = tape.claim(saved.weights);
  const ArenaScope scope(ctx.arena);
  const std::int64_t rows = saved.dispatch.rows(), k = saved.k;
  const std::int64_t hidden = saved.hidden, inter = saved.intermediate;
  Backend& backend = ctx.backend;
  const VectorKernels& kernels = backend.kernels().vector;
  ExpertProducts products(saved.dispatch);

  float* dy = ctx.arena.allocate(rows * hidden);
  gather(backend, saved, dout, dy);
  float* dact = ctx.arena.allocate(rows * inter);
  products.add(dy, hidden, dact, inter, false,
               [&](std::size_t e) -> const PackedMatrix& { return weights[e].down.backward; });
  products.run(backend, ctx.precision);

  float* act = ctx.arena.allocate(rows * inter);
  float* dgate = ctx.arena.allocate(rows * inter);
  float* dup = ctx.arena.allocate(rows * inter);
  parallel_rows(backend, rows, inter, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const std::int64_t at = row * inter;
      const std::int32_t slot = saved.dispatch.slot_of_row[static_cast<std::size_t>(row)];
      const float weight = saved.weights.data[slot];
      kernels.swiglu(inter, saved.gate + at, saved.up + at, act + at);
      if (dweights.data != nullptr) {
        const float dot = kernels.dot(inter, act + at, dact + at);
        dweights.data[slot] = dweights.accumulate ? dweights.data[slot] + dot : dot;
      }
      kernels.scale(inter, weight, act + at, act + at);
      kernels.scale(inter, weight, dact + at, dact + at);
      std::fill_n(dgate + at, inter, 0.0f);
      std::fill_n(dup + at, inter, 0.0f);
      kernels.swiglu_backward(inter, saved.gate + at, saved.up + at, dact + at, dgate + at,
                              dup + at);
    }
  });

  float* gathered = ctx.arena.allocate(rows * hidden);
  gather(backend, saved, saved.x.data, gathered);
  products.add_gradient(dy, hidden, act, inter,
                        [&](std::size_t e) -> LinearWeight& { return weights[e].down; });
  products.add_gradient(dgate, inter, gathered, hidden,
                        [&](std::size_t e) -> LinearWeight& { return weights[e].gate; });
  products.add_gradient(dup, inter, gathered, hidden,
                        [&](std::size_t e) -> LinearWeight& { return weights[e].up; });
  products.run(backend, ctx.precision);
  if (dx.data == nullptr) return;

  float* drows = dy;  // dy has been read for the last time
  products.add(dgate, inter, drows, hidden, false,
               [&](std::size_t e) -> const PackedMatrix& { return weights[e].gate.backward; });
  products.run(backend, ctx.precision);
  products.add(dup, inter, drows, hidden, true,
               [&](std::size_t e) -> const PackedMatrix& { return weights[e].up.backward; });
  products.run(backend, ctx.precision);
  parallel_rows(backend, saved.x.rows(), k * hidden, [&](std::int64_t first, std::int64_t last) {
    prepare_share(dx, first * hidden, (last - first) * hidden);
    for (std::int64_t slot = first * k; slot < last * k; ++slot) {
      const std::int64_t row = saved.dispatch.row_of_slot[static_cast<std::size_t>(slot)];
      kernels.add_into(hidden, drows + row * hidden, dx.data + slot / k * hidden);
    }
  });
}

}  // namespace

Tensor experts(const ForwardContext& ctx, const Tensor& x, const Routing& routing,
               std::span<ExpertWeight> weights) {
  const std::int64_t tokens = x.rows(), k = routing.weights.row_size();
  R1_CHECK(!weights.empty() && routing.weights.rows() == tokens &&
               static_cast<std::int64_t>(routing.experts.size()) == tokens * k &&
               x.shape.count() == tokens * weights[0].gate.in_features(),
           "x {} routing {} experts {}", to_string(x.shape), to_string(routing.weights.shape),
           weights.size());
  const std::int64_t hidden = weights[0].gate.in_features();
  const std::int64_t inter = weights[0].gate.out_features();
  const Tensor out = ctx.make({tokens, hidden});
  const Arena::Mark mark = ctx.arena.mark();
  Saved saved{.x = x,
              .weights = routing.weights,
              .dispatch = dispatch_rows(routing, weights.size()),
              .gate = ctx.arena.allocate(tokens * k * inter),
              .up = ctx.arena.allocate(tokens * k * inter),
              .k = k,
              .hidden = hidden,
              .intermediate = inter};
  const Arena::Mark scratch = ctx.arena.mark();
  const std::int64_t rows = saved.dispatch.rows();
  float* gathered = ctx.arena.allocate(rows * hidden);
  float* act = ctx.arena.allocate(rows * inter);
  gather(ctx.backend, saved, x.data, gathered);
  ExpertProducts products(saved.dispatch);
  products.add(gathered, hidden, saved.gate, inter, false,
               [&](std::size_t e) -> const PackedMatrix& { return weights[e].gate.forward; });
  products.add(gathered, hidden, saved.up, inter, false,
               [&](std::size_t e) -> const PackedMatrix& { return weights[e].up.forward; });
  products.run(ctx.backend, ctx.precision);

  const VectorKernels& kernels = ctx.backend.kernels().vector;
  ctx.backend.parallel_ranges(
      rows * inter, kTaskElements, [&](std::int64_t first, std::int64_t last) {
        kernels.swiglu(last - first, saved.gate + first, saved.up + first, act + first);
      });
  float* rows_out = gathered;  // the gathered rows have been read for the last time
  products.add(act, inter, rows_out, hidden, false,
               [&](std::size_t e) -> const PackedMatrix& { return weights[e].down.forward; });
  products.run(ctx.backend, ctx.precision);
  parallel_rows(ctx.backend, tokens, k * hidden, [&](std::int64_t first, std::int64_t last) {
    std::fill_n(out.data + first * hidden, (last - first) * hidden, 0.0f);
    for (std::int64_t slot = first * k; slot < last * k; ++slot) {
      const std::int64_t row = saved.dispatch.row_of_slot[static_cast<std::size_t>(slot)];
      kernels.multiply_add(hidden, routing.weights.data[slot], rows_out + row * hidden,
                           out.data + slot / k * hidden);
    }
  });
  ctx.arena.reset(ctx.tape != nullptr ? scratch : mark);
  if (ctx.tape != nullptr) {
    ctx.tape->record([ctx, saved = std::move(saved), weights, out] {
      experts_backward(ctx, saved, weights, out);
    });
  }
  return out;
}

}  // namespace r1
