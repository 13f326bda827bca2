#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

// The key-value pairs at the front of a GGUF file. Values stay in the file and are converted when
// asked for, so that a vocabulary nobody reads costs nothing.
namespace r1 {

// The numbers are those in files.
enum class GgufType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

std::string_view name_of(GgufType type);  // "u8", "string", ...
// Bytes of a value; nothing for strings and arrays, whose size varies.
std::optional<std::size_t> size_of(GgufType type);

// A scalar or an array of scalars; strings count as scalars, arrays hold no arrays.
struct GgufValue {
  GgufType type;  // of the scalar, or of the array's elements
  bool is_array = false;
  std::uint64_t count = 1;  // elements; 1 for a scalar
  // The elements one after the other as in the file: numbers unaligned and little-endian, bools as
  // one byte 0 or 1, strings as a u64 length and their bytes.
  std::span<const std::byte> bytes;
};

namespace gguf_detail {

// A scalar or one element of an array, with what names it in errors.
struct Item {
  GgufType type;
  std::span<const std::byte> bytes;  // of a string, without the length
  std::string_view where;            // the file
  std::string_view key;
  std::optional<std::uint64_t> index;  // in the array
};

// Throw Error: WHERE: "KEY[INDEX]" must be EXPECTED, found FOUND.
bool to_bool(const Item& item);
std::int64_t to_int64(const Item& item, std::int64_t low, std::int64_t high);
std::uint64_t to_uint64(const Item& item);
double to_number(const Item& item, double largest);
std::string_view to_text(const Item& item);  // valid UTF-8

// Walks over the elements of a value.
class Elements {
 public:
  Elements(const GgufValue& value, std::string_view where, std::string_view key)
      : value_(value), where_(where), key_(key), rest_(value.bytes) {}
  bool done() const { return index_ == value_.count; }
  Item next();

 private:
  const GgufValue& value_;
  std::string_view where_, key_;
  std::span<const std::byte> rest_;
  std::uint64_t index_ = 0;
};

[[noreturn]] void throw_missing(std::string_view where, std::string_view key);
[[noreturn]] void throw_shape(const GgufValue& value, std::string_view where, std::string_view key);

template <class T>
T convert(const Item& item) {
  if constexpr (std::is_same_v<T, bool>) {
    return to_bool(item);
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    return to_uint64(item);
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(
        to_int64(item, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(to_number(item, std::numeric_limits<T>::max()));
  } else {
    static_assert(std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>,
                  "not a type that GGUF converts to");
    return T(to_text(item));
  }
}

template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};

}  // namespace gguf_detail

// Points into the file that it was read from.
class GgufMetadata {
 public:
  GgufMetadata() = default;
  explicit GgufMetadata(std::string_view where) : where_(where) {}

  // False if there is such a key already.
  bool add(std::string_view key, const GgufValue& value);

  bool has(std::string_view key) const { return find(key) != nullptr; }
  const GgufValue* find(std::string_view key) const;           // null if there is none
  std::span<const std::string> keys() const { return keys_; }  // in the file's order

  // The value under `key`; throws Error naming file, key and what it should be. T: bool, an integer
  // type (from any integer type, with a check of its range), a floating type (finite; from integers
  // too), std::string, std::string_view (into the file), or a vector of these from an array.
  template <class T>
  T require(std::string_view key) const {
    const GgufValue* value = find(key);
    if (value == nullptr) gguf_detail::throw_missing(where_, key);
    return convert<T>(*value, key);
  }

  // The same, or `fallback` where the key is absent.
  template <class T>
  T get_or(std::string_view key, T fallback) const {
    const GgufValue* value = find(key);
    return value == nullptr ? fallback : convert<T>(*value, key);
  }

 private:
  template <class T>
  T convert(const GgufValue& value, std::string_view key) const {
    constexpr bool kArray = gguf_detail::is_vector<T>::value;
    if (value.is_array != kArray) gguf_detail::throw_shape(value, where_, key);
    gguf_detail::Elements elements(value, where_, key);
    if constexpr (kArray) {
      T items;
      while (!elements.done()) {
        items.push_back(gguf_detail::convert<typename T::value_type>(elements.next()));
      }
      return items;
    } else {
      return gguf_detail::convert<T>(elements.next());
    }
  }

  std::string where_;
  std::vector<std::string> keys_;
  std::map<std::string, GgufValue, std::less<>> values_;
};

}  // namespace r1
