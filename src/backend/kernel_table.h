#pragma once

#include "backend/attention_kernels.h"
#include "backend/fp8_kernels.h"
#include "backend/gemm_kernels.h"
#include "backend/isa.h"
#include "backend/quantized_kernels.h"
#include "backend/vector_kernels.h"

namespace r1 {

// Every kernel of one instruction set, as plain functions on pointers, one thread each; callers
// split work over outputs. All tables give the same bits: the scalar one is the definition, spelled
// out in docs/numerics.md. Kernels expect denormals flushed, as inside ThreadPool::parallel_for.
struct KernelTable {
  Isa isa;
  GemmKernels gemm;
  AttentionKernels attention;
  VectorKernels vector;
  QuantizedKernels quantized;
  Fp8Kernels fp8;
};

// The table of one instruction set; R1_CHECKs that the machine supports it.
const KernelTable& kernel_table(Isa isa);

}  // namespace r1
