#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

const Declare kGated{{
    .op = "swiglu",
    .variant = "gate_and_up",
    .inputs = {{.shape = {3, 21}}, {.shape = {3, 21}}},
    .make =
        [] {
          return Op{
              .weights = {},
              .refresh = {},
              .forward =
                  [](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    return swiglu(ctx, inputs[0], inputs[1]);
                  },
              .reference =
                  [](std::span<const Values> inputs, auto, Precision) {
                    Values out = inputs[0];
                    for (std::size_t i = 0; i < out.size(); ++i) {
                      out[i] *= sigmoid(out[i]) * inputs[1][i];
                    }
                    return out;
                  },
          };
        },
}};

}  // namespace
}  // namespace r1::gradient_check
