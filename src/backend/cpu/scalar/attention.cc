#include "backend/cpu/generic/attention.h"

#include "backend/cpu/instruction_sets.h"
#include "backend/cpu/scalar/lanes.h"

namespace r1::cpu::scalar {
namespace {

struct Set {
  using F32x16 = scalar::F32x16;
  static constexpr int kDotKeys = 1, kDotGroups = 1;
  static constexpr int kSumRows = 1, kSumVecs = 1, kSumNarrowRows = 1;

  static void transpose(const float* const* rows, std::int64_t column, float* to) {
    for (int row = 0; row < 16; ++row) {
      for (int c = 0; c < 16; ++c) to[c * 16 + row] = rows[row][column + c];
    }
  }
};

}  // namespace

const AttentionKernels& attention_kernels() { return generic::Attention<Set>::kernels(); }

}  // namespace r1::cpu::scalar
