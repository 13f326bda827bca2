#include "backend/cpu/generic/vector.h"

#include "backend/cpu/avx512/lanes.h"
#include "backend/cpu/instruction_sets.h"

namespace r1::cpu::avx512 {

const VectorKernels& vector_kernels() {
  static constexpr VectorKernels kTable = generic::vector_kernels_on<F32x16>();
  return kTable;
}

}  // namespace r1::cpu::avx512
