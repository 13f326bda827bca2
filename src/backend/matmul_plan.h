#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "backend/gemm_kernels.h"

namespace r1 {

// How a product is cut into pieces of work. None of it reaches the bits: k is never cut, except
// where a later piece goes on from the C of the earlier one.

// Work is counted in multiply-adds. A row less than this many costs as much as this many, because
// reading a packed element takes as long as multiplying it by so many rows.
inline constexpr std::int64_t kRowsPerRead = 12;
// Below this, handing a piece to another thread costs more than it saves (a few microseconds).
inline constexpr std::int64_t kLeastUnit = 256 << 10;
// Rows of A kept near the multiply units while all of B streams past, at most; and how few are
// worth a row block of their own.
inline constexpr std::int64_t kMostRows = 512, kLeastRows = 96;
// Row blocks are whole squares of tiles; the registers' blocking (6 and 14 rows) loses little.
inline constexpr std::int64_t kRowGrain = 32;

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
inline std::int64_t round_up(std::int64_t a, std::int64_t b) { return ceil_div(a, b) * b; }

inline std::int64_t product_cost(std::int64_t m, std::int64_t n, std::int64_t k) {
  return m == 0 ? 0 : std::max(m, kRowsPerRead) * n * std::max<std::int64_t>(k, 1);
}

// Elements between rows of a rounded factor. Strides of a large power of two would put all rows of
// a tile into the same few cache sets.
inline std::int64_t rounded_stride(std::int64_t k) {
  const std::int64_t padded = padded_k_bf16(k);
  return padded % 512 == 0 ? padded + kBf16KBlock : padded;
}

// The cut of an [m, n] output into row blocks and groups of panels.
struct Cut {
  std::int64_t rows = 0, panels = 0;  // of one unit; the last ones may be smaller
  std::int64_t row_blocks = 0, panel_groups = 0;
  std::int64_t units() const { return row_blocks * panel_groups; }
};

// Units of about `unit_cost`. Panels are cut first: a row block reads, or decodes, all of B anew,
// which the matrix units outrun when it has few rows.
inline Cut cut_output(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t unit_cost) {
  const std::int64_t pieces = std::max<std::int64_t>(1, product_cost(m, n, k) / unit_cost);
  const std::int64_t panels = panels_of(n);
  const std::int64_t most_groups = std::max<std::int64_t>(panels / 2, 1);
  const std::int64_t row_blocks =
      std::max(ceil_div(m, kMostRows), std::min(ceil_div(pieces, most_groups), m / kLeastRows));
  Cut cut;
  cut.rows =
      m <= kRowGrain ? m : round_up(ceil_div(m, std::max<std::int64_t>(row_blocks, 1)), kRowGrain);
  cut.row_blocks = m == 0 ? 0 : ceil_div(m, cut.rows);
  const std::int64_t groups =
      std::clamp<std::int64_t>(pieces / std::max<std::int64_t>(cut.row_blocks, 1), 1, most_groups);
  cut.panels = round_up(ceil_div(panels, groups), 2);
  cut.panel_groups = panels == 0 ? 0 : ceil_div(panels, cut.panels);
  return cut;
}

// The cost of a unit such that every thread gets several: neighbours on the machine may slow one
// thread down, the others then take more.
inline std::int64_t unit_cost_for(std::int64_t total_cost, int threads) {
  if (threads == 1) return std::max(total_cost, kLeastUnit);
  return std::max(total_cost / (4 * threads), kLeastUnit);
}

// body(worker, index) for each index in [0, count); `worker` < threads names scratch that no other
// running body has.
template <typename Body>
void parallel_with_worker(Backend& backend, std::int64_t count, const Body& body) {
  std::atomic<std::int64_t> next{0};
  const std::int64_t workers = std::min<std::int64_t>(backend.threads(), count);
  backend.parallel_for(workers, [&](std::int64_t worker) {
    for (std::int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) body(worker, i);
  });
}

}  // namespace r1
