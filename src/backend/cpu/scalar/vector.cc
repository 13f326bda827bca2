#include "backend/cpu/generic/vector.h"

#include "backend/cpu/instruction_sets.h"
#include "backend/cpu/scalar/lanes.h"

namespace r1::cpu::scalar {

const VectorKernels& vector_kernels() {
  static constexpr VectorKernels kTable = generic::vector_kernels_on<F32x16>();
  return kTable;
}

}  // namespace r1::cpu::scalar
