#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace r1 {

// How the values of a GGUF tensor are stored: the types that r1 decodes and encodes, with the
// numbers that stand for them in files.
enum class GgmlType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
};

// A row of a tensor is a whole number of blocks. Blocks of the plain types hold one value.
struct GgmlBlockSize {
  std::size_t values;
  std::size_t bytes;
};
GgmlBlockSize block_size(GgmlType type);

std::string_view name_of(GgmlType type);                         // "F32", "Q4_K", ...
std::optional<GgmlType> parse_ggml_type(std::string_view name);  // in upper or lower case

// The type with this number; nothing if r1 does not know how to decode it.
std::optional<GgmlType> ggml_type_of(std::uint32_t number);
// The name that ggml gives to any number, also of types unknown to GgmlType: "Q2_K", "type 99".
std::string ggml_type_name(std::uint32_t number);

// Bytes of a tensor with this shape [..., rows, row length]; nothing if a dimension is negative,
// the row is not a whole number of blocks, or elements or bytes do not fit into 63 bits.
std::optional<std::uint64_t> bytes_of(GgmlType type, std::span<const std::int64_t> shape);

}  // namespace r1
