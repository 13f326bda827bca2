#pragma once

#include <cstdint>

#include "backend/cpu/generic/exp.h"
#include "backend/cpu/generic/vector_slots.h"
#include "backend/vector_kernels.h"
#include "tensor/bf16.h"

// Kernels in which each output depends on the inputs at its own place (or, in RoPE, its pair).
// Inputs may be the outputs themselves, but not overlap them otherwise.
namespace r1::cpu::generic {

template <typename V>
void add(std::int64_t n, const float* a, const float* b, float* out) {
  for_each_slot<V>(n, [&](auto slot) { slot.store(out, slot.load(a) + slot.load(b)); });
}

template <typename V>
void add_into(std::int64_t n, const float* x, float* acc) {
  for_each_slot<V>(n, [&](auto slot) { slot.store(acc, slot.load(acc) + slot.load(x)); });
}

template <typename V>
void multiply_add(std::int64_t n, float s, const float* x, float* acc) {
  const V factor = V::broadcast(s);
  for_each_slot<V>(n,
                   [&](auto slot) { slot.store(acc, fma(factor, slot.load(x), slot.load(acc))); });
}

template <typename V>
void scale(std::int64_t n, float s, const float* x, float* out) {
  const V factor = V::broadcast(s);
  for_each_slot<V>(n, [&](auto slot) { slot.store(out, factor * slot.load(x)); });
}

// To bf16, from bf16, or neither: stores and loads convert by the type of the row.
template <typename V, typename From, typename To>
void convert(std::int64_t n, const From* x, To* out) {
  for_each_slot<V>(n, [&](auto slot) { slot.store(out, slot.load(x)); });
}

template <typename V>
void round_to_bf16_values(std::int64_t n, const float* x, float* out) {
  for_each_slot<V>(n, [&](auto slot) { slot.store(out, round_to_bf16_values(slot.load(x))); });
}

template <typename V>
void exp(std::int64_t n, const float* x, float* out) {
  for_each_slot<V>(n, [&](auto slot) { slot.store(out, exp(slot.load(x))); });
}

template <typename V>
void sigmoid(std::int64_t n, const float* x, float* out) {
  for_each_slot<V>(n, [&](auto slot) { slot.store(out, sigmoid(slot.load(x))); });
}

template <typename V>
void swiglu(std::int64_t n, const float* gate, const float* up, float* out) {
  for_each_slot<V>(n, [&](auto slot) {
    const V x = slot.load(gate);
    slot.store(out, x * sigmoid(x) * slot.load(up));
  });
}

// silu'(x) = s + x s (1 - s) for s = sigmoid(x).
template <typename V>
void swiglu_backward(std::int64_t n, const float* gate, const float* up, const float* dout,
                     float* dgate, float* dup) {
  const V one = V::broadcast(1.0f);
  for_each_slot<V>(n, [&](auto slot) {
    const V x = slot.load(gate), d = slot.load(dout);
    const V s = sigmoid(x);
    const V silu = x * s;
    const V slope = fma(silu, one - s, s);
    slot.store(dgate, fma(d * slot.load(up), slope, slot.load(dgate)));
    slot.store(dup, fma(d, silu, slot.load(dup)));
  });
}

template <typename V>
void rope_interleaved(std::int64_t dim, const float* cos, const float* sin, float sign, float* x) {
  for (std::int64_t i = 0; i < dim / 2; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1], s = sign * sin[i];
    x[2 * i] = __builtin_fmaf(a, cos[i], -(b * s));
    x[2 * i + 1] = __builtin_fmaf(b, cos[i], a * s);
  }
}

template <typename V>
void rope_halves(std::int64_t dim, const float* cos, const float* sin, float sign, float* x) {
  float* upper = x + dim / 2;
  for_each_slot<V>(dim / 2, [&](auto slot) {
    const V a = slot.load(x), b = slot.load(upper), c = slot.load(cos);
    const V s = V::broadcast(sign) * slot.load(sin);
    slot.store(x, fma(a, c, -(b * s)));
    slot.store(upper, fma(b, c, a * s));
  });
}

template <typename V>
void adamw(std::int64_t n, const AdamWStep& step, const float* gradient, float* m, float* v,
           float* weight) {
  const V keep = V::broadcast(1.0f - step.learning_rate * step.weight_decay);
  const V gradient_scale = V::broadcast(step.gradient_scale);
  const V beta1 = V::broadcast(step.beta1), rest1 = V::broadcast(1.0f - step.beta1);
  const V beta2 = V::broadcast(step.beta2), rest2 = V::broadcast(1.0f - step.beta2);
  const V correction1 = V::broadcast(step.bias_correction1);
  const V correction2 = V::broadcast(step.bias_correction2);
  const V epsilon = V::broadcast(step.epsilon), rate = V::broadcast(-step.learning_rate);
  for_each_slot<V>(n, [&](auto slot) {
    const V g = gradient_scale * slot.load(gradient);
    const V mean = fma(beta1, slot.load(m), rest1 * g);
    const V square = fma(beta2, slot.load(v), rest2 * g * g);
    slot.store(m, mean);
    slot.store(v, square);
    const V direction = (mean / correction1) / (sqrt(square / correction2) + epsilon);
    slot.store(weight, fma(rate, direction, keep * slot.load(weight)));
  });
}

}  // namespace r1::cpu::generic
