#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "quant/ggml_type.h"

// Panels of a weight W [n, k] that was stored in a type, as memory and files hold them: quantised
// types in their own (quantized_panels.h), the plain ones as bf16 (gemm_kernels.h). They are a
// permutation of the rows of blocks, with zeros behind them, so rows come out of them as they went
// in.
namespace r1 {

// Of the order of bytes in panels. Files tell it; whoever changes the order of any type raises it.
inline constexpr std::uint32_t kPanelVersion = 1;

// Panels begin on cache lines, and take whole ones.
inline constexpr std::size_t kPanelAlignment = 64;

// Bytes of the panels of one matrix. `k` is a whole number of blocks.
std::int64_t stored_panel_bytes(GgmlType type, std::int64_t n, std::int64_t k);
// The same for extents from outside; nothing where they are not positive, k is no whole number of
// blocks, or the bytes do not fit into 63 bits.
std::optional<std::int64_t> checked_panel_bytes(GgmlType type, std::int64_t n, std::int64_t k);

// Whether rows of this type come out of panels as they went in: BF16 and the quantised types. F32
// and F16 are rounded on the way into theirs.
bool panels_keep(GgmlType type);

// Rows [first, first + count) of W out of its panels, as rows of blocks of a type that they keep.
void unpack_stored(GgmlType type, std::span<const std::byte> panels, std::int64_t n, std::int64_t k,
                   std::int64_t first, std::int64_t count, std::span<std::byte> rows);

}  // namespace r1
