#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Builds GGUF bytes piece by piece, for tests of the reader that must not lean on our writer.
namespace r1::gguf_test {

template <class T>
std::string number(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

inline std::string text(std::string_view characters) {
  return number(std::uint64_t{characters.size()}) + std::string(characters);
}

// A metadata entry: key, number of the type, and the value's bytes.
inline std::string entry(std::string_view key, std::uint32_t type, std::string_view value) {
  return text(key) + number(type) + std::string(value);
}

inline std::string array(std::uint32_t element_type, std::uint64_t count, std::string_view items) {
  return number(element_type) + number(count) + std::string(items);
}

// A tensor's description; dimensions innermost first, as in the file.
inline std::string tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions,
                          std::uint32_t type, std::uint64_t offset) {
  std::string result = text(name) + number(static_cast<std::uint32_t>(dimensions.size()));
  for (const std::uint64_t dimension : dimensions) result += number(dimension);
  return result + number(type) + number(offset);
}

struct Parts {
  std::vector<std::string> entries = {};
  std::vector<std::string> tensors = {};
  std::string data = {};
  std::uint64_t alignment = 32;
  std::uint32_t version = 3;
};

inline std::string file(const Parts& parts) {
  std::string result = "GGUF" + number(parts.version) +
                       number(std::uint64_t{parts.tensors.size()}) +
                       number(std::uint64_t{parts.entries.size()});
  for (const std::string& each : parts.entries) result += each;
  for (const std::string& each : parts.tensors) result += each;
  result.resize((result.size() + parts.alignment - 1) / parts.alignment * parts.alignment, '\0');
  return result + parts.data;
}

}  // namespace r1::gguf_test
