#include <gtest/gtest.h>

#include <cstring>

#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

constexpr std::int64_t kRows = 6, kHidden = 18, kInter = 11, kExperts = 5, kPerToken = 2;

// Expert 2 is chosen by nobody.
const std::vector<std::int32_t> kChosen = {0, 3, 3, 1, 0, 4, 3, 0, 0, 1, 4, 3};

std::shared_ptr<std::vector<ExpertWeight>> random_experts() {
  auto experts = std::make_shared<std::vector<ExpertWeight>>(size(kExperts));
  std::uint32_t stream = 1;
  for (ExpertWeight& expert : *experts) {
    expert.gate = random_linear(kInter, kHidden, stream++);
    expert.up = random_linear(kInter, kHidden, stream++);
    expert.down = random_linear(kHidden, kInter, stream++);
  }
  return experts;
}

void refresh(std::vector<ExpertWeight>& experts, Backend& backend, Precision precision) {
  for (ExpertWeight& expert : experts) {
    for (LinearWeight* weight : {&expert.gate, &expert.up, &expert.down}) {
      weight->refresh(backend, precision, true);
    }
  }
}

Values reference_experts(std::span<const Values> inputs, std::span<const Values> weights,
                         Precision precision) {
  Values out(size(kRows * kHidden));
  for (std::int64_t at = 0; at < kRows * kPerToken; ++at) {
    const std::int64_t t = at / kPerToken;
    const Values x(inputs[0].begin() + t * kHidden, inputs[0].begin() + (t + 1) * kHidden);
    const std::size_t first = size(kChosen[size(at)]) * 3;
    Values act = product(x, weights[first].data(), 1, kInter, kHidden, precision);
    const Values up = product(x, weights[first + 1].data(), 1, kInter, kHidden, precision);
    for (std::size_t i = 0; i < act.size(); ++i) act[i] *= sigmoid(act[i]) * up[i];
    const Values y = product(act, weights[first + 2].data(), 1, kHidden, kInter, precision);
    for (std::int64_t i = 0; i < kHidden; ++i) {
      out[size(t * kHidden + i)] += inputs[1][size(at)] * y[size(i)];
    }
  }
  return out;
}

const Declare kMixture{{
    .op = "experts",
    .variant = "one_unchosen",
    .inputs = {{.shape = {kRows, kHidden}}, {.shape = {kRows, kPerToken}, .positive = true}},
    .make =
        [] {
          auto owned = random_experts();
          std::vector<Weight*> weights;
          for (ExpertWeight& expert : *owned) {
            weights.insert(weights.end(),
                           {&expert.gate.weight, &expert.up.weight, &expert.down.weight});
          }
          return Op{
              .weights = weights,
              .refresh = [owned](Backend& backend,
                                 Precision precision) { refresh(*owned, backend, precision); },
              .forward =
                  [owned](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    const Routing routing{
                        .experts = kChosen, .weights = inputs[1], .scores = {}, .load = {}};
                    return experts(ctx, inputs[0], routing, *owned);
                  },
              .reference = reference_experts,
          };
        },
    // An activation between two bf16 values may round to either: one part in 2^8 of a term.
    .bf16_tolerance = 4e-3,
}};

TEST(Experts, ATokenAloneGivesTheBitsOfTheBatch) {
  Backend backend(2);
  auto weights = random_experts();
  for (Precision precision : {Precision::f32, Precision::bf16}) {
    refresh(*weights, backend, precision);
    Arena arena;
    const ForwardContext ctx{backend, arena, precision};
    const std::vector<float> x = random_floats(kRows * kHidden, 90);
    const std::vector<float> routed = random_floats(kRows * kPerToken, 91);
    // Tokens [first, first + count).
    const auto run = [&](std::int64_t first, std::int64_t count) {
      Tensor states = ctx.make_input({count, kHidden}), slots = ctx.make_input({count, kPerToken});
      std::copy_n(x.data() + first * kHidden, count * kHidden, states.data);
      std::copy_n(routed.data() + first * kPerToken, count * kPerToken, slots.data);
      const Routing routing{.experts = {kChosen.begin() + first * kPerToken,
                                        kChosen.begin() + (first + count) * kPerToken},
                            .weights = slots,
                            .scores = {},
                            .load = {}};
      return experts(ctx, states, routing, *weights);
    };
    const Tensor batch = run(0, kRows);
    for (std::int64_t t = 0; t < kRows; ++t) {
      EXPECT_EQ(std::memcmp(run(t, 1).data, batch.row(t), kHidden * sizeof(float)), 0);
    }
  }
}

}  // namespace
}  // namespace r1::gradient_check
