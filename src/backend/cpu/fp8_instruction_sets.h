#pragma once

#include "backend/fp8_kernels.h"

// The products with FP8 weights of each instruction set (instruction_sets.h).
namespace r1::cpu {

namespace scalar {
const Fp8Kernels& fp8_kernels();
}

namespace avx2 {
const Fp8Kernels& fp8_kernels();
}

namespace avx512 {
const Fp8Kernels& fp8_kernels();
}

// AVX-512 decodes, and tiles multiply where there are more than a few rows.
namespace amx {
const Fp8Kernels& fp8_kernels();
}

}  // namespace r1::cpu
