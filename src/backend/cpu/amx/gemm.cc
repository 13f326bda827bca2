#include "backend/cpu/amx/gemm_tile_registers.h"
#include "backend/cpu/generic/gemm_tiles.h"
#include "backend/cpu/instruction_sets.h"

namespace r1::cpu::amx {
namespace {

void multiply_bf16(const GemmShape& shape, const r1::bf16* a, const r1::bf16* panels, float* c) {
  Tiles tiles;
  generic::TileProduct<Tiles>(tiles, shape, a, panels, c).run();
}

}  // namespace

const GemmKernels& gemm_kernels() {
  static const GemmKernels kTable = [] {
    GemmKernels kernels = avx512::gemm_kernels();
    kernels.bf16 = multiply_bf16;
    return kernels;
  }();
  return kTable;
}

}  // namespace r1::cpu::amx
