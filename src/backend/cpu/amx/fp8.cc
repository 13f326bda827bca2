#include "backend/cpu/fp8_instruction_sets.h"

namespace r1::cpu::amx {

const Fp8Kernels& fp8_kernels() {
  static const Fp8Kernels kTable = [] {
    Fp8Kernels kernels = avx512::fp8_kernels();
    kernels.most_rows = 4;
    return kernels;
  }();
  return kTable;
}

}  // namespace r1::cpu::amx
