#pragma once

#include <cstdint>

#include "tensor/bf16.h"

// Walks a row 16 elements at a time, so that each kernel's body is written once for whole vectors
// and for the tail. V is the F32x16 of an instruction set (scalar/lanes.h).
namespace r1::cpu::generic {

inline constexpr std::int64_t kLanes = 16;

// Elements [at, at + 16) of every row.
template <typename V>
struct WholeSlot {
  std::int64_t at;

  template <typename T>
  V load(const T* row) const {
    return V::load(row + at);
  }
  template <typename T>
  void store(T* row, V value) const {
    value.store(row + at);
  }
  // `value` in the lanes that are elements, `other` in those beyond the end.
  V within(V value, V /*other*/) const { return value; }
};

// Elements [at, at + count), count < 16. Lanes beyond the end are loaded as 0 and not stored.
template <typename V>
struct TailSlot {
  std::int64_t at, count;

  template <typename T>
  V load(const T* row) const {
    return V::load_first(row + at, count);
  }
  template <typename T>
  void store(T* row, V value) const {
    value.store_first(row + at, count);
  }
  V within(V value, V other) const { return select(V::first_lanes(count), value, other); }
};

// body(slot) for the slots of a row of n, in order.
template <typename V, typename Body>
void for_each_slot(std::int64_t n, const Body& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(WholeSlot<V>{i});
  if (i < n) body(TailSlot<V>{i, n - i});
}

}  // namespace r1::cpu::generic
