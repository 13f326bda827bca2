#pragma once

#include <cstdint>

namespace r1::cpu::amx {

// The operand of LDTILECFG.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

// The tile registers. Spelled as assembly because the compiler's intrinsics take no template
// parameters as tile numbers, and the one that configures does not say that it reads memory.
struct Tiles {
  static void configure(std::int64_t top, std::int64_t bottom) {
    TileConfig config;
    const auto set = [&](int tile, std::int64_t rows) {
      // A tile of no rows is left out of the configuration and must not be used.
      config.rows[tile] = static_cast<std::uint8_t>(rows);
      config.row_bytes[tile] = rows == 0 ? 0 : 64;
    };
    set(0, top);
    set(1, top);
    set(2, bottom);
    set(3, bottom);
    set(4, top);
    set(5, bottom);
    set(6, 16);
    set(7, 16);
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  static void release() { asm volatile("tilerelease"); }

  template <int t>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(t));
  }
  template <int t>
  static void load(const void* address, std::int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(address), "r"(stride), "i"(t) : "memory");
  }
  template <int t>
  static void store(void* address, std::int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(address), "r"(stride), "i"(t) : "memory");
  }
  template <int c, int a, int b>
  static void multiply() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
  }
};

}  // namespace r1::cpu::amx
