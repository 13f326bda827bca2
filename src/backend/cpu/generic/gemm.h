#pragma once

#include "backend/cpu/generic/gemm_multiply.h"
#include "backend/cpu/generic/gemm_pack.h"

namespace r1::cpu::generic {

// The matrix products on one instruction set's register type.
template <typename V>
constexpr GemmKernels gemm_kernels_on() {
  return GemmKernels{
      .f32 = multiply_f32<V>,
      .bf16 = multiply_bf16<V>,
      .pack_rows_f32 = pack_rows_f32<V>,
      .pack_rows_bf16 = pack_rows_bf16<V>,
      .pack_columns_f32 = pack_columns_f32<V>,
      .pack_columns_bf16 = pack_columns_bf16<V>,
      .round_rows = round_rows<V>,
      .transpose_f32 = transpose_f32<V>,
      .transpose_bf16 = transpose_bf16<V>,
  };
}

}  // namespace r1::cpu::generic
