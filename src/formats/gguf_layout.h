#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

// What reader and writer of GGUF share.
namespace r1::gguf_layout {

inline constexpr std::string_view kMagic = "GGUF";
inline constexpr std::uint32_t kVersion = 3;  // 2 has the same layout
inline constexpr std::uint32_t kOldestVersion = 2;
inline constexpr std::string_view kAlignmentKey = "general.alignment";
inline constexpr std::uint32_t kDefaultAlignment = 32;
inline constexpr std::size_t kMaxDimensions = 4;
inline constexpr std::size_t kMaxNameBytes = 63;  // what ggml reads

constexpr std::uint64_t align_up(std::uint64_t offset, std::uint64_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

}  // namespace r1::gguf_layout
