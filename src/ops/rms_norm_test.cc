#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

// Rows of 19 in a [4, 3, 19] tensor, as a norm per head sees them.
const Declare kPerHead{{
    .op = "rms_norm",
    .variant = "per_head",
    .inputs = {{.shape = {4, 3, 19}}},
    .make =
        [] {
          constexpr float kEps = 1e-2f;  // large enough to show in the result
          auto table = std::make_shared<TableWeight>();
          table->weight = random_weight({19}, 1);
          return Op{
              .weights = {&table->weight},
              .refresh = [table](Backend& backend,
                                 Precision precision) { table->refresh(backend, precision); },
              .forward =
                  [table](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    return rms_norm(ctx, inputs[0], *table, kEps);
                  },
              .reference =
                  [](std::span<const Values> inputs, std::span<const Values> weights,
                     Precision precision) {
                    Values out = inputs[0];
                    for (std::size_t row = 0; row < out.size(); row += 19) {
                      double squares = 0;
                      for (std::size_t i = 0; i < 19; ++i) squares += out[row + i] * out[row + i];
                      const double rstd = 1.0 / std::sqrt(squares / 19 + kEps);
                      for (std::size_t i = 0; i < 19; ++i) {
                        out[row + i] *= rstd * rounded(weights[0][i], precision);
                      }
                    }
                    return out;
                  },
          };
        },
}};

}  // namespace
}  // namespace r1::gradient_check
