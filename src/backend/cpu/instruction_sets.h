#pragma once

#include "backend/attention_kernels.h"
#include "backend/gemm_kernels.h"
#include "backend/quantized_kernels.h"
#include "backend/vector_kernels.h"

// What each folder beside this file provides. The sources in them are compiled with that set's
// flags, so they must not instantiate templates of the standard library: the linker could keep such
// a copy for callers on an older machine.
namespace r1::cpu {

namespace scalar {
const GemmKernels& gemm_kernels();
const AttentionKernels& attention_kernels();
const VectorKernels& vector_kernels();
const QuantizedKernels& quantized_kernels();
}  // namespace scalar

namespace avx2 {
const GemmKernels& gemm_kernels();
const AttentionKernels& attention_kernels();
const VectorKernels& vector_kernels();
const QuantizedKernels& quantized_kernels();
}  // namespace avx2

namespace avx512 {
const GemmKernels& gemm_kernels();
const AttentionKernels& attention_kernels();
const VectorKernels& vector_kernels();
const QuantizedKernels& quantized_kernels();
}  // namespace avx512

// Only the bf16 product differs from avx512.
namespace amx {
const GemmKernels& gemm_kernels();
}  // namespace amx

}  // namespace r1::cpu
