#pragma once

#include "backend/cpu/generic/vector_elements.h"
#include "backend/cpu/generic/vector_rows.h"
#include "backend/vector_kernels.h"

namespace r1::cpu::generic {

// The vector kernels on one instruction set's F32x16.
template <typename V>
constexpr VectorKernels vector_kernels_on() {
  return VectorKernels{
      .add = add<V>,
      .add_into = add_into<V>,
      .multiply_add = multiply_add<V>,
      .scale = scale<V>,
      .round_bf16 = convert<V, float, bf16>,
      .widen_bf16 = convert<V, bf16, float>,
      .round_to_bf16_values = round_to_bf16_values<V>,
      .exp = exp<V>,
      .sigmoid = sigmoid<V>,
      .swiglu = swiglu<V>,
      .swiglu_backward = swiglu_backward<V>,
      .sum = sum<V>,
      .dot = dot<V>,
      .max = max<V>,
      .sum_of_squares = sum_of_squares<V>,
      .rms_norm = rms_norm<V>,
      .rms_norm_backward = rms_norm_backward<V>,
      .rms_norm_weight_gradient = rms_norm_weight_gradient<V>,
      .rope_interleaved = rope_interleaved<V>,
      .rope_halves = rope_halves<V>,
      .log_sum_exp = log_sum_exp<V>,
      .softmax = softmax<V>,
      .entropy = entropy<V>,
      .log_prob_gradient = log_prob_gradient<V>,
      .adamw = adamw<V>,
  };
}

}  // namespace r1::cpu::generic
