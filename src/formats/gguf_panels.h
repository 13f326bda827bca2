#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "quant/ggml_type.h"

// Our extension of GGUF: matrices that lie in the panels which products read
// (backend/stored_panels.h), to be mapped and multiplied in place. Such a tensor [..., n, k] has a
// type number of its own, which other programs refuse as unknown; panels of the matrices [n, k]
// follow one another. Rows lie in Hugging Face's order, in files of llama too. The metadata tells
// the version of the panels' order under kPanelVersionKey, and general.alignment is a multiple of
// kPanelAlignment.
namespace r1::gguf_panels {

inline constexpr std::string_view kPanelVersionKey = "r1.panels.version";

// Added to the number of the type that the panels hold: "r1" above it.
inline constexpr std::uint32_t kFirstNumber = 0x7231'0000;

constexpr std::uint32_t number_of(GgmlType type) {
  return kFirstNumber + static_cast<std::uint32_t>(type);
}
constexpr bool is_panels(std::uint32_t number) { return number >> 16 == kFirstNumber >> 16; }
// The type whose panels have this number, if products have panels of it that keep it.
std::optional<GgmlType> type_of(std::uint32_t number);

// Bytes of a tensor in panels; nothing if it is no matrix with rows of whole blocks, or too large.
std::optional<std::uint64_t> bytes_of(GgmlType type, std::span<const std::int64_t> shape);

}  // namespace r1::gguf_panels
