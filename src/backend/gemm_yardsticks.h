#pragma once

#include <cstdint>

#include "backend/isa.h"

namespace r1 {

// What the hardware gives at best: the measures of gemm_benchmark.h.
struct GemmYardsticks {
  // Floats of scratch that `multiply` works on; they stay in the first-level cache.
  static constexpr std::int64_t kFloats = 8192;

  // Feeds the unit that the bf16 product uses from the first-level cache, `rounds` times;
  // multiply-adds of one round in `macs_per_round`.
  void (*multiply)(std::int64_t rounds, float* scratch);
  std::int64_t macs_per_round;

  // Reads `bytes` (a multiple of 1024) once, in order; the result keeps the reads alive.
  float (*read)(const void* memory, std::int64_t bytes);
};

const GemmYardsticks& gemm_yardsticks(Isa isa);

namespace cpu {
namespace scalar {
const GemmYardsticks& gemm_yardsticks();
}
namespace avx2 {
const GemmYardsticks& gemm_yardsticks();
}
namespace avx512 {
const GemmYardsticks& gemm_yardsticks();
}
namespace amx {
const GemmYardsticks& gemm_yardsticks();
}
}  // namespace cpu

}  // namespace r1
