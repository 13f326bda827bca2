#include "backend/cpu/generic/gemm_yardsticks.h"

#include "backend/cpu/avx512/gemm_register.h"

namespace r1::cpu::avx512 {

const GemmYardsticks& gemm_yardsticks() {
  static constexpr GemmYardsticks kTable = generic::gemm_yardsticks_on<GemmRegister>();
  return kTable;
}

}  // namespace r1::cpu::avx512
