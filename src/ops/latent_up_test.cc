#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

constexpr std::int64_t kRows = 5, kHeads = 3, kKeyDim = 6, kValueDim = 4, kLatent = 21;
constexpr std::int64_t kRope = 8, kPositions = 7;

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

std::shared_ptr<RopeTable> random_table(RopeLayout layout) {
  auto table = std::make_shared<RopeTable>();
  *table = {.layout = layout, .dim = kRope, .cos = {}, .sin = {}};
  for (float angle : random_floats(kPositions * kRope / 2, 2)) {
    table->cos.push_back(std::cos(angle));
    table->sin.push_back(std::sin(angle));
  }
  return table;
}

const std::vector<std::int32_t> kTokenPositions = {3, 0, 6, 1, 3};

// What follows the first kKeyDim numbers of a query, rotated.
Values rotated_tail(const RopeTable& table, const double* tail, std::int64_t token) {
  Values out(tail, tail + kRope);
  for (std::int64_t i = 0; i < kRope / 2; ++i) {
    const bool pairs = table.layout == RopeLayout::interleaved;
    const std::int64_t at = kTokenPositions[size(token)] * kRope / 2 + i;
    const double cos = static_cast<double>(table.cos[size(at)]);
    const double sin = static_cast<double>(table.sin[size(at)]);
    double& x = out[size(pairs ? 2 * i : i)];
    double& y = out[size(pairs ? 2 * i + 1 : i + kRope / 2)];
    const double old = x;
    x = old * cos - y * sin;
    y = old * sin + y * cos;
  }
  return out;
}

OpCase queries_case(const std::string& variant, RopeLayout layout) {
  return {
      .op = "latent_queries",
      .variant = variant,
      .inputs = {{.shape = {kRows, kHeads, kKeyDim + kRope}}},
      .make =
          [layout] {
            auto up = random_latent_up();
            auto table = random_table(layout);
            return Op{
                .weights = {&up->weight},
                .refresh = refresh_of(up),
                .forward =
                    [up, table](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                      return latent_queries(ctx, inputs[0], *up, *table, kTokenPositions);
                    },
                .reference =
                    [table](std::span<const Values> inputs, std::span<const Values> weights,
                            Precision precision) {
                      Values out;
                      for (std::int64_t th = 0; th < kRows * kHeads; ++th) {
                        const double* q = inputs[0].data() + th * (kKeyDim + kRope);
                        for (std::int64_t c = 0; c < kLatent; ++c) {
                          double sum = 0;
                          for (std::int64_t i = 0; i < kKeyDim; ++i) {
                            sum += rounded(q[i], precision) *
                                   rounded(block(weights[0], th % kHeads, i, c), precision);
                          }
                          out.push_back(sum);
                        }
                        const Values tail = rotated_tail(*table, q + kKeyDim, th / kHeads);
                        out.insert(out.end(), tail.begin(), tail.end());
                      }
                      return out;
                    },
            };
          },
  };
}
const Declare kQueriesInterleaved{queries_case("interleaved", RopeLayout::interleaved)};
const Declare kQueriesHalves{queries_case("halves", RopeLayout::halves)};

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
