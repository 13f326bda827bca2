#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "backend/backend.h"
#include "ops/tape.h"

// How ops split element and row work over threads. Results never depend on it.
namespace r1 {

// Elements that make a task worth handing to a thread: some ten microseconds of streaming.
inline constexpr std::int64_t kTaskElements = 16384;
// Columns of a sum over rows that one task takes: whole cache lines, few enough that narrow rows
// still feed several threads.
inline constexpr std::int64_t kTaskColumns = 32;

// body(first, last) over rows of `row_size` elements.
template <typename Body>
void parallel_rows(Backend& backend, std::int64_t rows, std::int64_t row_size, const Body& body) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, kTaskElements / std::max<std::int64_t>(1, row_size));
  backend.parallel_ranges(rows, grain, body);
}

// body(first, count) over columns: for sums over rows, which every task walks in order.
template <typename Body>
void parallel_columns(Backend& backend, std::int64_t columns, const Body& body) {
  backend.parallel_ranges(columns, kTaskColumns, [&](std::int64_t first, std::int64_t last) {
    body(first, last - first);
  });
}

inline void copy_floats(std::int64_t count, const float* from, float* to) {
  std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(float));
}

// Adds `count` elements of x to a gradient from `offset` on. For use within parallel bodies.
inline void add_share(const VectorKernels& kernels, const Tape::Slot& slot, std::int64_t offset,
                      std::int64_t count, const float* x) {
  if (slot.accumulate) {
    kernels.add_into(count, x, slot.data + offset);
  } else {
    copy_floats(count, x, slot.data + offset);
  }
}

// Makes part of a gradient ready for a kernel that adds to it. For use within parallel bodies.
inline void prepare_share(const Tape::Slot& slot, std::int64_t offset, std::int64_t count) {
  if (!slot.accumulate) std::fill_n(slot.data + offset, count, 0.0f);
}

}  // namespace r1
