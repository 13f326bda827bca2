#include "backend/cpu/instruction_sets.h"

namespace r1::cpu::amx {

const GemmKernels& gemm_kernels() { return avx512::gemm_kernels(); }

}  // namespace r1::cpu::amx
