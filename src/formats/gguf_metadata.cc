#include "formats/gguf_metadata.h"

#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/utf8.h"
#include "formats/json.h"

namespace r1 {
namespace {

struct TypeEntry {
  GgufType type;
  std::string_view name;
  std::size_t size;  // 0: varies
};

constexpr std::array kTypes = {
    TypeEntry{GgufType::u8, "u8", 1},         TypeEntry{GgufType::i8, "i8", 1},
    TypeEntry{GgufType::u16, "u16", 2},       TypeEntry{GgufType::i16, "i16", 2},
    TypeEntry{GgufType::u32, "u32", 4},       TypeEntry{GgufType::i32, "i32", 4},
    TypeEntry{GgufType::f32, "f32", 4},       TypeEntry{GgufType::boolean, "bool", 1},
    TypeEntry{GgufType::string, "string", 0}, TypeEntry{GgufType::array, "array", 0},
    TypeEntry{GgufType::u64, "u64", 8},       TypeEntry{GgufType::i64, "i64", 8},
    TypeEntry{GgufType::f64, "f64", 8},
};

const TypeEntry& entry_of(GgufType type) {
  for (const TypeEntry& entry : kTypes) {
    if (entry.type == type) return entry;
  }
  check_failed(__FILE__, __LINE__, "known type", fmt::format("{}", static_cast<unsigned>(type)));
}

template <class T>
T number_in(std::span<const std::byte> bytes) {
  T value;
  R1_CHECK(bytes.size() == sizeof value, "{} bytes", bytes.size());
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// The value of any integer type; nothing if the item is no integer. Only u64 does not fit, so that
// one comes with its bits, as a negative number.
std::optional<std::int64_t> integer_in(const gguf_detail::Item& item) {
  switch (item.type) {
    case GgufType::u8:
      return number_in<std::uint8_t>(item.bytes);
    case GgufType::i8:
      return number_in<std::int8_t>(item.bytes);
    case GgufType::u16:
      return number_in<std::uint16_t>(item.bytes);
    case GgufType::i16:
      return number_in<std::int16_t>(item.bytes);
    case GgufType::u32:
      return number_in<std::uint32_t>(item.bytes);
    case GgufType::i32:
      return number_in<std::int32_t>(item.bytes);
    case GgufType::u64:
    case GgufType::i64:
      return number_in<std::int64_t>(item.bytes);
    default:
      return std::nullopt;
  }
}

std::string describe(const gguf_detail::Item& item) {
  if (item.type == GgufType::string) {
    const std::string_view text(reinterpret_cast<const char*>(item.bytes.data()),
                                item.bytes.size());
    if (!is_utf8(text)) return fmt::format("a string of {} bytes", text.size());
    return fmt::format("the string \"{}\"", excerpt(text));
  }
  if (item.type == GgufType::boolean) {
    return number_in<std::uint8_t>(item.bytes) != 0 ? "true" : "false";
  }
  if (item.type == GgufType::f32) return fmt::format("{}", number_in<float>(item.bytes));
  if (item.type == GgufType::f64) return fmt::format("{}", number_in<double>(item.bytes));
  if (item.type == GgufType::u64) return fmt::format("{}", number_in<std::uint64_t>(item.bytes));
  return fmt::format("{}", integer_in(item).value());
}

[[noreturn]] void throw_mistyped(const gguf_detail::Item& item, std::string_view expected) {
  const std::string index = item.index ? fmt::format("[{}]", *item.index) : "";
  throw Error(item.where, fmt::format("\"{}{}\" must be {}, found {}", item.key, index, expected,
                                      describe(item)));
}

}  // namespace

std::string_view name_of(GgufType type) { return entry_of(type).name; }

std::optional<std::size_t> size_of(GgufType type) {
  const std::size_t size = entry_of(type).size;
  return size == 0 ? std::nullopt : std::optional(size);
}

namespace gguf_detail {

bool to_bool(const Item& item) {
  if (item.type != GgufType::boolean) throw_mistyped(item, "true or false");
  return number_in<std::uint8_t>(item.bytes) != 0;
}

std::int64_t to_int64(const Item& item, std::int64_t low, std::int64_t high) {
  const std::optional<std::int64_t> value = integer_in(item);
  const bool too_large = value && *value < 0 && item.type == GgufType::u64;
  if (!value || too_large || *value < low || *value > high) {
    throw_mistyped(item, fmt::format("an integer from {} to {}", low, high));
  }
  return *value;
}

std::uint64_t to_uint64(const Item& item) {
  const std::optional<std::int64_t> value = integer_in(item);
  if (!value || (*value < 0 && item.type != GgufType::u64)) {
    throw_mistyped(item, "an integer of 0 or more");
  }
  return static_cast<std::uint64_t>(*value);
}

double to_number(const Item& item, double largest) {
  double value = 0;
  if (item.type == GgufType::f32) {
    value = number_in<float>(item.bytes);
  } else if (item.type == GgufType::f64) {
    value = number_in<double>(item.bytes);
  } else if (item.type == GgufType::u64) {
    value = static_cast<double>(number_in<std::uint64_t>(item.bytes));
  } else if (const std::optional<std::int64_t> integer = integer_in(item)) {
    value = static_cast<double>(*integer);
  } else {
    throw_mistyped(item, "a number");
  }
  if (!(std::abs(value) <= largest)) {
    throw_mistyped(item, fmt::format("a number of at most {:g}", largest));
  }
  return value;
}

std::string_view to_text(const Item& item) {
  if (item.type != GgufType::string) throw_mistyped(item, "a string");
  const std::string_view text(reinterpret_cast<const char*>(item.bytes.data()), item.bytes.size());
  if (!is_utf8(text)) throw_mistyped(item, "a string in UTF-8");
  return text;
}

Item Elements::next() {
  R1_CHECK(!done(), "{} of {}", index_, value_.count);
  std::size_t size = 0;
  if (value_.type == GgufType::string) {
    std::uint64_t length = 0;
    R1_CHECK(rest_.size() >= sizeof length, "{} bytes", rest_.size());
    length = number_in<std::uint64_t>(rest_.first(sizeof length));
    rest_ = rest_.subspan(sizeof length);
    size = length;
  } else {
    size = size_of(value_.type).value();
  }
  R1_CHECK(size <= rest_.size(), "size {} of {}", size, rest_.size());
  Item item{value_.type, rest_.first(size), where_, key_, std::nullopt};
  if (value_.is_array) item.index = index_;
  rest_ = rest_.subspan(size);
  ++index_;
  return item;
}

void throw_missing(std::string_view where, std::string_view key) {
  throw Error(where, fmt::format("\"{}\" is missing", key));
}

void throw_shape(const GgufValue& value, std::string_view where, std::string_view key) {
  const std::string found = value.is_array
                                ? fmt::format("an array of {} {}", value.count, name_of(value.type))
                                : fmt::format("a single {}", name_of(value.type));
  throw Error(where, fmt::format("\"{}\" must be {}, found {}", key,
                                 value.is_array ? "a single value" : "an array", found));
}

}  // namespace gguf_detail

bool GgufMetadata::add(std::string_view key, const GgufValue& value) {
  if (!values_.emplace(key, value).second) return false;
  keys_.emplace_back(key);
  return true;
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

}  // namespace r1
