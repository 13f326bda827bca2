#include "ops/weight.h"

#include <gtest/gtest.h>

#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

TEST(Weight, WorkingCopiesAreRoundedAsThePrecisionAsks) {
  Backend backend(2);
  TableWeight table;
  table.weight = random_weight({3, 17}, 1);
  table.refresh(backend, Precision::f32);
  EXPECT_TRUE(std::ranges::equal(table.working, table.weight.value));
  table.refresh(backend, Precision::bf16);
  for (std::size_t i = 0; i < table.working.size(); ++i) {
    EXPECT_EQ(table.working[i], to_float(round_to_bf16(table.weight.value[i])));
  }
}

TEST(Weight, BackwardPanelsExistOnlyInTraining) {
  Backend backend(1);
  LinearWeight weight = random_linear(9, 7, 1);
  weight.refresh(backend, Precision::bf16, false);
  EXPECT_EQ(weight.forward.n, 9);
  EXPECT_EQ(weight.backward.n, 0);
  weight.refresh(backend, Precision::bf16, true);
  EXPECT_EQ(weight.backward.n, 7);
}

// The gate: f32 products of the numbers that a bf16 checkpoint would hold.
TEST(Weight, RefreshInF32RoundsTheValuesButNotTheProduct) {
  Backend backend(1);
  Arena arena;
  LinearWeight weight = random_linear(1, 1, 1);
  weight.weight.value[0] = 1.0f + 1.0f / 512;  // between two bf16 values, rounds to 1
  const float x = 1.0f + 1.0f / 1024;          // stays as it is
  for (Precision precision : {Precision::f32, Precision::bf16}) {
    weight.refresh_f32(backend, precision, false);
    const ForwardContext ctx{backend, arena, precision};
    const Tensor in = ctx.make({1, 1});
    in.data[0] = x;
    EXPECT_EQ(linear(ctx, in, weight).data[0],
              precision == Precision::bf16 ? x : x * weight.weight.value[0]);
  }
}

TEST(Weight, FrozenWeightsHaveNoGradient) {
  Weight weight = random_weight({2}, 1);
  EXPECT_NE(weight.gradient_data(), nullptr);
  weight.trainable = false;
  EXPECT_EQ(weight.gradient_data(), nullptr);
}

}  // namespace
}  // namespace r1::gradient_check
