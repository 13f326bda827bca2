#include "backend/kernel_table.h"

#include <algorithm>

#include "backend/cpu/fp8_instruction_sets.h"
#include "backend/cpu/instruction_sets.h"
#include "base/error.h"

namespace r1 {

const KernelTable& kernel_table(Isa isa) {
  const std::vector<Isa> supported = supported_isas();
  R1_CHECK(std::find(supported.begin(), supported.end(), isa) != supported.end(), "isa {}",
           name_of(isa));
  static const KernelTable scalar{Isa::scalar,
                                  cpu::scalar::gemm_kernels(),
                                  cpu::scalar::attention_kernels(),
                                  cpu::scalar::vector_kernels(),
                                  cpu::scalar::quantized_kernels(),
                                  cpu::scalar::fp8_kernels()};
  static const KernelTable avx2{Isa::avx2,
                                cpu::avx2::gemm_kernels(),
                                cpu::avx2::attention_kernels(),
                                cpu::avx2::vector_kernels(),
                                cpu::avx2::quantized_kernels(),
                                cpu::avx2::fp8_kernels()};
  static const KernelTable avx512{Isa::avx512,
                                  cpu::avx512::gemm_kernels(),
                                  cpu::avx512::attention_kernels(),
                                  cpu::avx512::vector_kernels(),
                                  cpu::avx512::quantized_kernels(),
                                  cpu::avx512::fp8_kernels()};
  static const KernelTable amx{Isa::amx,
                               cpu::amx::gemm_kernels(),
                               cpu::avx512::attention_kernels(),
                               cpu::avx512::vector_kernels(),
                               cpu::avx512::quantized_kernels(),
                               cpu::amx::fp8_kernels()};
  switch (isa) {
    case Isa::scalar:
      return scalar;
    case Isa::avx2:
      return avx2;
    case Isa::avx512:
      return avx512;
    case Isa::amx:
      return amx;
  }
  R1_CHECK(false, "isa {}", static_cast<int>(isa));
}

}  // namespace r1
