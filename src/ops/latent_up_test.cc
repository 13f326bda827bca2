#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

constexpr std::int64_t kRows = 5, kHeads = 3, kKeyDim = 6, kValueDim = 4, kLatent = 21;

std::shared_ptr<LatentUpWeight> random_latent_up() {
  auto up = std::make_shared<LatentUpWeight>();
  up->weight = random_weight({kHeads * (kKeyDim + kValueDim), kLatent}, 1);
  up->heads = kHeads;
  up->key_dim = kKeyDim;
  up->value_dim = kValueDim;
  return up;
}

std::function<void(Backend&, Precision)> refresh_of(std::shared_ptr<LatentUpWeight> up) {
  return [up](Backend& backend, Precision precision) { up->refresh(backend, precision, true); };
}

// Element [row, column] of a head's block of kv_b_proj.
double block(const Values& w, std::int64_t head, std::int64_t row, std::int64_t column) {
  return w[size((head * (kKeyDim + kValueDim) + row) * kLatent + column)];
}

const Declare kQueries{{
    .op = "latent_queries",
    .variant = "heads",
    .inputs = {{.shape = {kRows, kHeads, kKeyDim}}},
    .make =
        [] {
          auto up = random_latent_up();
          return Op{
              .weights = {&up->weight},
              .refresh = refresh_of(up),
              .forward =
                  [up](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    return latent_queries(ctx, inputs[0], *up);
                  },
              .reference =
                  [](std::span<const Values> inputs, std::span<const Values> weights,
                     Precision precision) {
                    Values out;
                    for (std::int64_t th = 0; th < kRows * kHeads; ++th) {
                      for (std::int64_t c = 0; c < kLatent; ++c) {
                        double sum = 0;
                        for (std::int64_t i = 0; i < kKeyDim; ++i) {
                          sum += rounded(inputs[0][size(th * kKeyDim + i)], precision) *
                                 rounded(block(weights[0], th % kHeads, i, c), precision);
                        }
                        out.push_back(sum);
                      }
                    }
                    return out;
                  },
          };
        },
}};

const Declare kValues{{
    .op = "latent_values",
    .variant = "heads",
    .inputs = {{.shape = {kRows, kHeads, kLatent}}},
    .make =
        [] {
          auto up = random_latent_up();
          return Op{
              .weights = {&up->weight},
              .refresh = refresh_of(up),
              .forward =
                  [up](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    return latent_values(ctx, inputs[0], *up);
                  },
              .reference =
                  [](std::span<const Values> inputs, std::span<const Values> weights,
                     Precision precision) {
                    Values out;
                    for (std::int64_t th = 0; th < kRows * kHeads; ++th) {
                      for (std::int64_t v = 0; v < kValueDim; ++v) {
                        double sum = 0;
                        for (std::int64_t c = 0; c < kLatent; ++c) {
                          sum += rounded(inputs[0][size(th * kLatent + c)], precision) *
                                 rounded(block(weights[0], th % kHeads, kKeyDim + v, c), precision);
                        }
                        out.push_back(sum);
                      }
                    }
                    return out;
                  },
          };
        },
}};

}  // namespace
}  // namespace r1::gradient_check
