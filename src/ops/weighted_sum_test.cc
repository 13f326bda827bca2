#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

const Declare kSum{{
    .op = "weighted_sum",
    .variant = "row",
    .inputs = {{.shape = {37}}},
    .make =
        [] {
          const std::vector<float> coefficients = random_floats(37, 1);
          return Op{
              .weights = {},
              .refresh = {},
              .forward =
                  [coefficients](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    return weighted_sum(ctx, inputs[0], coefficients);
                  },
              .reference =
                  [coefficients](std::span<const Values> inputs, auto, Precision) {
                    double sum = 0;
                    for (std::size_t i = 0; i < coefficients.size(); ++i) {
                      sum += static_cast<double>(coefficients[i]) * inputs[0][i];
                    }
                    return Values{sum};
                  },
          };
        },
}};

}  // namespace
}  // namespace r1::gradient_check
