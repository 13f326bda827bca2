#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

const Declare kSum{{
    .op = "add",
    .variant = "two_tensors",
    .inputs = {{.shape = {3, 11}}, {.shape = {3, 11}}},
    .make =
        [] {
          return Op{
              .weights = {},
              .refresh = {},
              .forward =
                  [](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    return add(ctx, inputs[0], inputs[1]);
                  },
              .reference =
                  [](std::span<const Values> inputs, auto, Precision) {
                    Values out = inputs[0];
                    for (std::size_t i = 0; i < out.size(); ++i) out[i] += inputs[1][i];
                    return out;
                  },
          };
        },
}};

const Declare kTwice{{
    .op = "add",
    .variant = "a_tensor_to_itself",
    .inputs = {{.shape = {3, 11}}},
    .make =
        [] {
          return Op{
              .weights = {},
              .refresh = {},
              .forward =
                  [](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    return add(ctx, inputs[0], inputs[0]);
                  },
              .reference =
                  [](std::span<const Values> inputs, auto, Precision) {
                    Values out = inputs[0];
                    for (double& value : out) value *= 2;
                    return out;
                  },
          };
        },
}};

}  // namespace
}  // namespace r1::gradient_check
