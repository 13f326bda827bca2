#include "backend/gemm_yardsticks.h"

#include "backend/cpu/amx/gemm_tile_registers.h"

namespace r1::cpu::amx {
namespace {

constexpr std::int64_t kSteps = 8;

// Four tile loads per four products, as a 2 x 2 square of C needs them.
void multiply(std::int64_t rounds, float* scratch) {
  constexpr std::int64_t kTileFloats = 256, kRowBytes = 64;
  static_assert(4 * kSteps * kTileFloats <= GemmYardsticks::kFloats);
  Tiles tiles;
  tiles.configure(16, 16);
  tiles.zero<0>();
  tiles.zero<1>();
  tiles.zero<2>();
  tiles.zero<3>();
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (std::int64_t step = 0; step < kSteps; ++step) {
      const float* at = scratch + step * 4 * kTileFloats;
      tiles.load<4>(at, kRowBytes);
      tiles.load<6>(at + kTileFloats, kRowBytes);
      tiles.multiply<0, 4, 6>();
      tiles.load<7>(at + 2 * kTileFloats, kRowBytes);
      tiles.multiply<1, 4, 7>();
      tiles.load<5>(at + 3 * kTileFloats, kRowBytes);
      tiles.multiply<2, 5, 6>();
      tiles.multiply<3, 5, 7>();
    }
  }
  tiles.store<0>(scratch, kRowBytes);
  tiles.release();
}

}  // namespace

const GemmYardsticks& gemm_yardsticks() {
  static const GemmYardsticks kTable{multiply, kSteps * 4 * 16 * 16 * 32,
                                     avx512::gemm_yardsticks().read};
  return kTable;
}

}  // namespace r1::cpu::amx
