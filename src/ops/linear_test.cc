#include <gtest/gtest.h>

#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

constexpr std::int64_t kRows = 7, kIn = 35, kOut = 19;

OpCase linear_case(const std::string& variant, bool bias) {
  return {
      .op = "linear",
      .variant = variant,
      .inputs = {{.shape = {kRows, 5, 7}}},
      .make =
          [bias] {
            auto linear_weight = std::make_shared<LinearWeight>(random_linear(kOut, kIn, 1));
            std::vector<Weight*> weights = {&linear_weight->weight};
            if (bias) {
              linear_weight->bias = random_weight({kOut}, 2);
              weights.push_back(&linear_weight->bias);
            }
            return Op{
                .weights = weights,
                .refresh =
                    [linear_weight](Backend& backend, Precision precision) {
                      linear_weight->refresh(backend, precision, true);
                    },
                .forward =
                    [linear_weight](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                      return linear(ctx, inputs[0], *linear_weight);
                    },
                .reference =
                    [](std::span<const Values> inputs, std::span<const Values> values,
                       Precision precision) {
                      Values out =
                          product(inputs[0], values[0].data(), kRows, kOut, kIn, precision);
                      for (std::size_t i = 0; values.size() > 1 && i < out.size(); ++i) {
                        out[i] += rounded(values[1][i % kOut], precision);
                      }
                      return out;
                    },
            };
          },
  };
}

const Declare kPlain{linear_case("plain", false)};
const Declare kBias{linear_case("bias", true)};

TEST(Linear, EmptyBatchGivesNoRows) {
  Backend backend(1);
  Arena arena;
  LinearWeight weight = random_linear(kOut, kIn, 1);
  weight.refresh(backend, Precision::bf16, false);
  const ForwardContext ctx{backend, arena};
  EXPECT_EQ(linear(ctx, ctx.make({0, kIn}), weight).shape, Shape({0, kOut}));
}

}  // namespace
}  // namespace r1::gradient_check
