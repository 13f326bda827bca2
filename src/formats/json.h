#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"

// JSON from outside: bounded, and with one-line errors. Include from .cc files only; the library
// behind it is heavy.
namespace r1 {

struct JsonLimits {
  std::size_t max_depth = 64;
  std::size_t max_bytes = std::size_t{64} << 20;
  // Objects, arrays and scalars together: bounds the memory that a small text can claim.
  std::size_t max_values = std::size_t{8} << 20;
};

// Parses one JSON document. Throws Error with `where` (a file name) and line and column. Stricter
// than RFC 8259 in one point: a key that occurs twice in an object is an error.
nlohmann::json parse_json(std::string_view text, std::string_view where, JsonLimits limits = {});

// At most 60 bytes of a text from outside, for use in a message; cut between characters.
std::string excerpt(std::string_view text);

namespace json_detail {

// Throws Error: WHERE: "KEY" must be EXPECTED, found FOUND.
[[noreturn]] void throw_mistyped(std::string_view where, std::string_view key,
                                 std::string_view expected, const nlohmann::json& found);
[[noreturn]] void throw_missing(std::string_view where, std::string_view key);
[[noreturn]] void throw_not_object(std::string_view where, const nlohmann::json& found);

std::int64_t to_int64(const nlohmann::json& value, std::string_view key, std::string_view where,
                      std::int64_t low, std::int64_t high);
std::uint64_t to_uint64(const nlohmann::json& value, std::string_view key, std::string_view where);
double to_number(const nlohmann::json& value, std::string_view key, std::string_view where,
                 double largest);

template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};

}  // namespace json_detail

// Converts `value`, named `key` in errors. T: bool, an integer type (with a check of its range), a
// floating type (finite; takes integers too), std::string, a vector of these, or nlohmann::json.
template <class T>
T convert_json(const nlohmann::json& value, std::string_view key, std::string_view where) {
  using json_detail::throw_mistyped;
  if constexpr (std::is_same_v<T, nlohmann::json>) {
    return value;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_boolean()) throw_mistyped(where, key, "true or false", value);
    return value.get<bool>();
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    return json_detail::to_uint64(value, key, where);
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(json_detail::to_int64(value, key, where, std::numeric_limits<T>::min(),
                                                std::numeric_limits<T>::max()));
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(json_detail::to_number(value, key, where, std::numeric_limits<T>::max()));
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!value.is_string()) throw_mistyped(where, key, "a string", value);
    return value.get<std::string>();
  } else {
    static_assert(json_detail::is_vector<T>::value, "not a type that JSON converts to");
    if (!value.is_array()) throw_mistyped(where, key, "an array", value);
    T items;
    items.reserve(value.size());
    for (const nlohmann::json& item : value) {
      const std::string name = fmt::format("{}[{}]", key, items.size());
      items.push_back(convert_json<typename T::value_type>(item, name, where));
    }
    return items;
  }
}

// The value under `key`; throws Error naming `where`, the key and the expected type or range.
template <class T>
T require(const nlohmann::json& object, std::string_view key, std::string_view where) {
  if (!object.is_object()) json_detail::throw_not_object(where, object);
  const auto found = object.find(key);
  if (found == object.end()) json_detail::throw_missing(where, key);
  return convert_json<T>(*found, key, where);
}

// The same, or `fallback` where the key is absent or null (Hugging Face writes both).
template <class T>
T get_or(const nlohmann::json& object, std::string_view key, std::string_view where, T fallback) {
  if (!object.is_object()) json_detail::throw_not_object(where, object);
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return fallback;
  return convert_json<T>(*found, key, where);
}

}  // namespace r1
