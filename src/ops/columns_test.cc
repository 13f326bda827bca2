#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

const Declare kConcat{{
    .op = "concat_columns",
    .variant = "per_head",
    .inputs = {{.shape = {3, 2, 5}}, {.shape = {3, 2, 4}}},
    .make =
        [] {
          return Op{
              .weights = {},
              .refresh = {},
              .forward =
                  [](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    return concat_columns(ctx, inputs[0], inputs[1]);
                  },
              .reference =
                  [](std::span<const Values> inputs, auto, Precision) {
                    Values out;
                    for (std::ptrdiff_t row = 0; row < 6; ++row) {
                      const auto a = inputs[0].begin() + row * 5, b = inputs[1].begin() + row * 4;
                      out.insert(out.end(), a, a + 5);
                      out.insert(out.end(), b, b + 4);
                    }
                    return out;
                  },
          };
        },
}};

const Declare kSlice{{
    .op = "slice_columns",
    .variant = "per_head",
    .inputs = {{.shape = {3, 2, 9}}},
    .make =
        [] {
          return Op{
              .weights = {},
              .refresh = {},
              .forward =
                  [](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    return slice_columns(ctx, inputs[0], 2, 4);
                  },
              .reference =
                  [](std::span<const Values> inputs, auto, Precision) {
                    Values out;
                    for (std::ptrdiff_t row = 0; row < 6; ++row) {
                      const auto first = inputs[0].begin() + row * 9 + 2;
                      out.insert(out.end(), first, first + 4);
                    }
                    return out;
                  },
          };
        },
}};

}  // namespace
}  // namespace r1::gradient_check
