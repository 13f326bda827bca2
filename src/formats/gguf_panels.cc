#include "formats/gguf_panels.h"

#include "backend/stored_panels.h"

namespace r1::gguf_panels {

std::optional<GgmlType> type_of(std::uint32_t number) {
  const std::optional<GgmlType> type = ggml_type_of(number - kFirstNumber);
  return type && panels_keep(*type) ? type : std::nullopt;
}

std::optional<std::uint64_t> bytes_of(GgmlType type, std::span<const std::int64_t> shape) {
  if (shape.size() < 2) return std::nullopt;
  const auto matrix = shape.last(2);
  std::optional<std::int64_t> bytes = checked_panel_bytes(type, matrix[0], matrix[1]);
  for (const std::int64_t extent : shape.first(shape.size() - 2)) {
    if (!bytes || extent <= 0 || __builtin_mul_overflow(*bytes, extent, &*bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

}  // namespace r1::gguf_panels
