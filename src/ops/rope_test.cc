#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

constexpr std::int64_t kRows = 4, kHeads = 2, kHeadDim = 9, kDim = 6;

OpCase rope_case(const std::string& variant, RopeLayout layout) {
  return {
      .op = "rope",
      .variant = variant,
      .inputs = {{.shape = {kRows, kHeads, kHeadDim}}},
      .make =
          [layout] {
            auto table = std::make_shared<RopeTable>();
            *table = {.layout = layout, .dim = kDim, .cos = {}, .sin = {}};
            for (float angle : random_floats(8 * kDim / 2, 1)) {
              table->cos.push_back(std::cos(angle));
              table->sin.push_back(std::sin(angle));
            }
            const std::vector<std::int32_t> positions = {3, 0, 7, 3};
            return Op{
                .weights = {},
                .refresh = {},
                .forward =
                    [table, positions](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                      return rope(ctx, inputs[0], *table, positions);
                    },
                .reference =
                    [table, positions, layout](std::span<const Values> inputs, auto, Precision) {
                      Values out = inputs[0];
                      for (std::int64_t th = 0; th < kRows * kHeads; ++th) {
                        double* x = out.data() + th * kHeadDim + (kHeadDim - kDim);
                        for (std::int64_t i = 0; i < kDim / 2; ++i) {
                          const bool pairs = layout == RopeLayout::interleaved;
                          double& a = x[pairs ? 2 * i : i];
                          double& b = x[pairs ? 2 * i + 1 : i + kDim / 2];
                          const std::int64_t at = positions[size(th / kHeads)] * kDim / 2 + i;
                          const double cos = static_cast<double>(table->cos[size(at)]);
                          const double sin = static_cast<double>(table->sin[size(at)]);
                          const double turned = a * cos - b * sin;
                          b = a * sin + b * cos;
                          a = turned;
                        }
                      }
                      return out;
                    },
            };
          },
  };
}

const Declare kInterleaved{rope_case("interleaved", RopeLayout::interleaved)};
const Declare kHalves{rope_case("halves", RopeLayout::halves)};

}  // namespace
}  // namespace r1::gradient_check
