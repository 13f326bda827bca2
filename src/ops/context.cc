#include "ops/context.h"

namespace r1 {

Tensor ForwardContext::make(Shape shape) const {
  Tensor tensor = make_constant(shape);
  if (tape != nullptr) tape->watch(tensor);
  return tensor;
}

Tensor ForwardContext::make_constant(Shape shape) const {
  return {arena.allocate(shape.count()), shape, Tape::kNoNode};
}

}  // namespace r1
