#include "ops/context.h"

namespace r1 {

Tensor ForwardContext::make(Shape shape, const std::source_location& where) const {
  backend.begin_work(where);
  Tensor tensor = make_constant(shape);
  if (tape != nullptr) tape->watch_result(tensor);
  return tensor;
}

Tensor ForwardContext::make_input(Shape shape) const {
  Tensor tensor = make_constant(shape);
  if (tape != nullptr) tape->watch(tensor);
  return tensor;
}

Tensor ForwardContext::make_constant(Shape shape) const {
  return {arena.allocate(shape.count()), shape, Tape::kNoNode};
}

}  // namespace r1
