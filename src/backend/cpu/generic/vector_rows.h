#pragma once

#include <cstdint>

#include "backend/cpu/generic/exp.h"
#include "backend/cpu/generic/vector_slots.h"

// Kernels that sum over a row. A sum runs in 16 lanes from +0 (element i in lane i mod 16, the tail
// filled with zeros), then over the lanes by reduce_add's tree.
namespace r1::cpu::generic {

template <typename V>
float sum(std::int64_t n, const float* x) {
  V acc = V::zero();
  for_each_slot<V>(n, [&](auto slot) { acc = acc + slot.load(x); });
  return reduce_add(acc);
}

template <typename V>
float dot(std::int64_t n, const float* a, const float* b) {
  V acc = V::zero();
  for_each_slot<V>(n, [&](auto slot) { acc = fma(slot.load(a), slot.load(b), acc); });
  return reduce_add(acc);
}

// The instruction drops a NaN in its first operand, so those are remembered beside the maximum.
template <typename V>
float max(std::int64_t n, const float* x) {
  const V lowest = V::broadcast(-__builtin_inff());
  V greatest = lowest;
  V nans = V::zero();
  for_each_slot<V>(n, [&](auto slot) {
    const V value = slot.within(slot.load(x), lowest);
    greatest = max(greatest, value);
    nans = select(is_nan(value), value, nans);
  });
  return any(is_nan(nans)) ? __builtin_nanf("") : reduce_max(greatest);
}

// The product of two floats is exact in double, so fma and multiply-add agree.
template <typename V>
double sum_of_squares(std::int64_t n, const float* x) {
  double lanes[kLanes] = {};
  for_each_slot<V>(n, [&](auto slot) {
    float values[kLanes];
    slot.load(x).store(values);
    for (int l = 0; l < kLanes; ++l) {
      const double value = static_cast<double>(values[l]);
      lanes[l] += value * value;
    }
  });
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

template <typename V>
float rms_norm(std::int64_t n, const float* x, const float* w, float eps, float* y) {
  const float mean = dot<V>(n, x, x) / static_cast<float>(n);
  const float rstd = 1.0f / __builtin_sqrtf(mean + eps);
  const V factor = V::broadcast(rstd);
  for_each_slot<V>(n, [&](auto slot) { slot.store(y, slot.load(x) * factor * slot.load(w)); });
  return rstd;
}

template <typename V>
void rms_norm_backward(std::int64_t n, const float* x, const float* w, float rstd, const float* dy,
                       float* dx) {
  V acc = V::zero();
  for_each_slot<V>(n,
                   [&](auto slot) { acc = fma(slot.load(w) * slot.load(dy), slot.load(x), acc); });
  const float mean = reduce_add(acc) / static_cast<float>(n);
  const V factor = V::broadcast(rstd);
  const V along_x = V::broadcast(-(rstd * rstd * mean));
  for_each_slot<V>(n, [&](auto slot) {
    const V rest = fma(along_x, slot.load(x), slot.load(w) * slot.load(dy));
    slot.store(dx, fma(factor, rest, slot.load(dx)));
  });
}

template <typename V>
void rms_norm_weight_gradient(std::int64_t n, const float* x, float rstd, const float* dy,
                              float* dw) {
  const V factor = V::broadcast(rstd);
  for_each_slot<V>(n, [&](auto slot) {
    slot.store(dw, fma(slot.load(dy), slot.load(x) * factor, slot.load(dw)));
  });
}

// An infinite or NaN maximum is its own log-sum-exp: all mass at infinity, or none anywhere.
template <typename V>
float log_sum_exp(std::int64_t n, const float* x) {
  const float greatest = max<V>(n, x);
  if (!(greatest - greatest == 0.0f)) return greatest;
  const V shift = V::broadcast(greatest);
  V acc = V::zero();
  for_each_slot<V>(
      n, [&](auto slot) { acc = acc + slot.within(exp(slot.load(x) - shift), V::zero()); });
  float log_sum[kLanes];
  log(V::broadcast(reduce_add(acc))).store(log_sum);
  return greatest + log_sum[0];
}

template <typename V>
void softmax(std::int64_t n, const float* x, float* out) {
  const V shift = V::broadcast(max<V>(n, x));
  V acc = V::zero();
  for_each_slot<V>(n, [&](auto slot) {
    const V e = exp(slot.load(x) - shift);
    acc = acc + slot.within(e, V::zero());
    slot.store(out, e);
  });
  const V total = V::broadcast(reduce_add(acc));
  for_each_slot<V>(n, [&](auto slot) { slot.store(out, slot.load(out) / total); });
}

// sum p (lse - x); what has no probability has no share, though its x be -infinity.
template <typename V>
float entropy(std::int64_t n, const float* x, float lse) {
  const V log_sum = V::broadcast(lse);
  V acc = V::zero();
  for_each_slot<V>(n, [&](auto slot) {
    const V value = slot.load(x);
    const V p = slot.within(exp(value - log_sum), V::zero());
    acc = fma(p, select(less(V::zero(), p), log_sum - value, V::zero()), acc);
  });
  return reduce_add(acc);
}

template <typename V>
void log_prob_gradient(std::int64_t n, const float* x, float lse, std::int64_t target, float g,
                       float* out) {
  const V log_sum = V::broadcast(lse), factor = V::broadcast(g);
  const V target_p = exp(V::broadcast(x[target]) - log_sum);
  for_each_slot<V>(
      n, [&](auto slot) { slot.store(out, factor * (V::zero() - exp(slot.load(x) - log_sum))); });
  (factor * (V::broadcast(1.0f) - target_p)).store_first(out + target, 1);
}

}  // namespace r1::cpu::generic
