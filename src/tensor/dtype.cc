#include "tensor/dtype.h"

#include <array>

#include "base/error.h"

namespace r1 {
namespace {

struct Entry {
  DType dtype;
  std::string_view name;
  std::size_t size;
};

constexpr std::array kEntries = {
    Entry{DType::f64, "F64", 8},         Entry{DType::f32, "F32", 4},
    Entry{DType::bf16, "BF16", 2},       Entry{DType::f16, "F16", 2},
    Entry{DType::f8_e4m3, "F8_E4M3", 1}, Entry{DType::f8_e5m2, "F8_E5M2", 1},
    Entry{DType::i64, "I64", 8},         Entry{DType::i32, "I32", 4},
    Entry{DType::i16, "I16", 2},         Entry{DType::i8, "I8", 1},
    Entry{DType::u64, "U64", 8},         Entry{DType::u32, "U32", 4},
    Entry{DType::u16, "U16", 2},         Entry{DType::u8, "U8", 1},
    Entry{DType::boolean, "BOOL", 1},
};

const Entry& entry_of(DType dtype) {
  for (const Entry& entry : kEntries) {
    if (entry.dtype == dtype) return entry;
  }
  check_failed(__FILE__, __LINE__, "known dtype", fmt::format("{}", static_cast<int>(dtype)));
}

}  // namespace

std::size_t size_of(DType dtype) { return entry_of(dtype).size; }

std::string_view name_of(DType dtype) { return entry_of(dtype).name; }

std::optional<DType> parse_dtype(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

}  // namespace r1
