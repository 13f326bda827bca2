#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {
namespace {

void swiglu_backward(const ForwardContext& ctx, const Tensor& gate, const Tensor& up,
                     const Tensor& out) {
  if (!ctx.tape->has_gradient(out)) return;
  const float* dout = ctx.tape->gradient(out);
  const Tape::Slot dgate = ctx.tape->claim(gate), dup = ctx.tape->claim(up);
  // The kernel makes both gradients; one that is not wanted falls on scratch.
  const ArenaScope scope(ctx.arena);
  const std::int64_t count = out.shape.count();
  const auto target = [&](const Tape::Slot& slot) {
    return slot.data != nullptr ? slot : Tape::Slot{ctx.arena.allocate(count), false};
  };
  const Tape::Slot to_gate = target(dgate), to_up = target(dup);
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  ctx.backend.parallel_ranges(count, kTaskElements, [&](std::int64_t first, std::int64_t last) {
    prepare_share(to_gate, first, last - first);
    prepare_share(to_up, first, last - first);
    kernels.swiglu_backward(last - first, gate.data + first, up.data + first, dout + first,
                            to_gate.data + first, to_up.data + first);
  });
}

}  // namespace

Tensor swiglu(const ForwardContext& ctx, const Tensor& gate, const Tensor& up) {
  R1_CHECK(gate.shape == up.shape, "gate {} up {}", to_string(gate.shape), to_string(up.shape));
  R1_CHECK(ctx.tape == nullptr || gate.node != up.node || gate.node == Tape::kNoNode,
           "gate and up are one tensor, node {}", gate.node);
  const Tensor out = ctx.make(gate.shape);
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  ctx.backend.parallel_ranges(
      out.shape.count(), kTaskElements, [&](std::int64_t first, std::int64_t last) {
        kernels.swiglu(last - first, gate.data + first, up.data + first, out.data + first);
      });
  if (ctx.tape != nullptr) {
    ctx.tape->record([ctx, gate, up, out] { swiglu_backward(ctx, gate, up, out); });
  }
  return out;
}

}  // namespace r1
