#include "backend/gemm_yardsticks.h"

namespace r1::cpu::scalar {
namespace {

constexpr int kChains = 8, kSteps = 128;

void multiply(std::int64_t rounds, float* scratch) {
  float sums[kChains] = {};
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (int p = 0; p < kSteps; ++p) {
      for (int i = 0; i < kChains; ++i) {
        sums[i] = __builtin_fmaf(scratch[p], scratch[kSteps + i], sums[i]);
      }
    }
  }
  for (int i = 0; i < kChains; ++i) scratch[2 * kSteps + i] = sums[i];
}

float read(const void* memory, std::int64_t bytes) {
  const auto* p = static_cast<const std::uint64_t*>(memory);
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < bytes / 8; ++i) sum += p[i];
  return static_cast<float>(sum);
}

}  // namespace

const GemmYardsticks& gemm_yardsticks() {
  static constexpr GemmYardsticks kTable{multiply, std::int64_t{kChains} * kSteps, read};
  return kTable;
}

}  // namespace r1::cpu::scalar
