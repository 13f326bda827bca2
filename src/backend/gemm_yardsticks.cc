#include "backend/gemm_yardsticks.h"

#include "base/error.h"

namespace r1 {

const GemmYardsticks& gemm_yardsticks(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return cpu::scalar::gemm_yardsticks();
    case Isa::avx2:
      return cpu::avx2::gemm_yardsticks();
    case Isa::avx512:
      return cpu::avx512::gemm_yardsticks();
    case Isa::amx:
      return cpu::amx::gemm_yardsticks();
  }
  R1_CHECK(false, "isa {}", static_cast<int>(isa));
}

}  // namespace r1
