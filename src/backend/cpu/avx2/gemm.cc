#include "backend/cpu/instruction_sets.h"

namespace r1::cpu::avx2 {

const GemmKernels& gemm_kernels() { return scalar::gemm_kernels(); }

}  // namespace r1::cpu::avx2
