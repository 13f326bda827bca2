#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

const Declare kRepeatedRows{{
    .op = "select_rows",
    .variant = "repeated_rows",
    .inputs = {{.shape = {6, 70}}},
    .make =
        [] {
          const std::vector<std::int32_t> rows = {5, 1, 1, 0, 5};
          return Op{
              .weights = {},
              .refresh = {},
              .forward =
                  [rows](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    return select_rows(ctx, inputs[0], rows);
                  },
              .reference =
                  [rows](std::span<const Values> inputs, auto, Precision) {
                    Values out;
                    for (std::int32_t row : rows) {
                      const auto first = inputs[0].begin() + row * 70;
                      out.insert(out.end(), first, first + 70);
                    }
                    return out;
                  },
          };
        },
}};

}  // namespace
}  // namespace r1::gradient_check
