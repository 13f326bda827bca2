#include "backend/cpu/generic/gemm.h"

#include "backend/cpu/avx512/gemm_register.h"
#include "backend/cpu/instruction_sets.h"

namespace r1::cpu::avx512 {

const GemmKernels& gemm_kernels() {
  static constexpr GemmKernels kTable = generic::gemm_kernels_on<GemmRegister>();
  return kTable;
}

}  // namespace r1::cpu::avx512
