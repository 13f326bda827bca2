#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace r1 {

// How one element of a tensor is stored.
enum class DType : std::uint8_t {
  f64,
  f32,
  bf16,
  f16,
  f8_e4m3,
  f8_e5m2,
  i64,
  i32,
  i16,
  i8,
  u64,
  u32,
  u16,
  u8,
  boolean,
};

// Bytes of one element.
std::size_t size_of(DType dtype);

// The name safetensors uses: "F32", "BF16", "F8_E4M3", "I64", "BOOL", ...
std::string_view name_of(DType dtype);

// The inverse of name_of; nothing if the name is unknown.
std::optional<DType> parse_dtype(std::string_view name);

}  // namespace r1
