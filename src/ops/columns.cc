#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {
namespace {

std::int64_t last_extent(const Tensor& x) { return x.shape[x.shape.rank() - 1]; }

// The same extents but the last.
Shape with_last(const Shape& shape, std::int64_t last) {
  switch (shape.rank()) {
    case 1:
      return {last};
    case 2:
      return {shape[0], last};
    case 3:
      return {shape[0], shape[1], last};
    default:
      return {shape[0], shape[1], shape[2], last};
  }
}

// Adds columns [first, first + count) of the rows of `dout`, `width` wide, to a gradient of rows
// that wide; outside of these columns a fresh gradient is zero.
void add_columns(const ForwardContext& ctx, const Tape::Slot& slot, std::int64_t rows,
                 const float* from, std::int64_t from_width, std::int64_t from_first,
                 std::int64_t to_width, std::int64_t to_first, std::int64_t count) {
  if (slot.data == nullptr) return;
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  parallel_rows(ctx.backend, rows, to_width, [&](std::int64_t begin, std::int64_t end) {
    if (count < to_width) prepare_share(slot, begin * to_width, (end - begin) * to_width);
    for (std::int64_t t = begin; t < end; ++t) {
      add_share(kernels, slot, t * to_width + to_first, count, from + t * from_width + from_first);
    }
  });
}

}  // namespace

Tensor concat_columns(const ForwardContext& ctx, const Tensor& a, const Tensor& b) {
  R1_CHECK(a.shape.rank() > 0 && with_last(a.shape, 0) == with_last(b.shape, 0), "{} {}",
           to_string(a.shape), to_string(b.shape));
  const std::int64_t a_width = last_extent(a), b_width = last_extent(b), width = a_width + b_width;
  const Tensor out = ctx.make(with_last(a.shape, width));
  const std::int64_t rows = width == 0 ? 0 : out.shape.count() / width;
  parallel_rows(ctx.backend, rows, width, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      copy_floats(a_width, a.data + t * a_width, out.data + t * width);
      copy_floats(b_width, b.data + t * b_width, out.data + t * width + a_width);
    }
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record([ctx, a, b, out, a_width, b_width, width, rows] {
      if (!ctx.tape->has_gradient(out)) return;
      const float* dout = ctx.tape->gradient(out);
      add_columns(ctx, ctx.tape->claim(a), rows, dout, width, 0, a_width, 0, a_width);
      add_columns(ctx, ctx.tape->claim(b), rows, dout, width, a_width, b_width, 0, b_width);
    });
  }
  return out;
}

Tensor slice_columns(const ForwardContext& ctx, const Tensor& x, std::int64_t first,
                     std::int64_t count) {
  R1_CHECK(x.shape.rank() > 0 && first >= 0 && count > 0 && first + count <= last_extent(x),
           "columns {} + {} of {}", first, count, to_string(x.shape));
  const std::int64_t width = last_extent(x), rows = x.shape.count() / width;
  const Tensor out = ctx.make(with_last(x.shape, count));
  parallel_rows(ctx.backend, rows, count, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      copy_floats(count, x.data + t * width + first, out.data + t * count);
    }
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record([ctx, x, out, first, count, width, rows] {
      if (!ctx.tape->has_gradient(out) || x.node == Tape::kNoNode) return;
      const float* dout = ctx.tape->gradient(out);
      add_columns(ctx, ctx.tape->claim(x), rows, dout, count, 0, width, first, count);
    });
  }
  return out;
}

}  // namespace r1
