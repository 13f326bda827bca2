#pragma once

#include <cstdint>
#include <string_view>

namespace r1::tasks {

// FNV-1a with a final avalanche (splitmix64), so that any bits of the result can choose a split.
class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) byte(static_cast<unsigned char>(c));
    byte(0);
  }
  void add(std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) byte((value >> shift) & 0xff);
  }
  std::uint64_t value() const {
    std::uint64_t z = state_ + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

 private:
  void byte(std::uint64_t b) { state_ = (state_ ^ b) * 0x100000001b3u; }
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

}  // namespace r1::tasks
