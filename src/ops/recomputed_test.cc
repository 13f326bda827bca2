#include <gtest/gtest.h>

#include <algorithm>

#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

constexpr std::int64_t kRows = 6, kHidden = 21, kInter = 13;
constexpr float kEps = 1e-3f;

// A residual layer: x + down(swiglu(gate(norm x), up(norm x))).
struct Layer {
  TableWeight norm;
  LinearWeight gate, up, down;

  Layer() {
    norm.weight = random_weight({kHidden}, 1);
    gate = random_linear(kInter, kHidden, 2);
    up = random_linear(kInter, kHidden, 3);
    down = random_linear(kHidden, kInter, 4);
  }
  std::vector<Weight*> weights() { return {&norm.weight, &gate.weight, &up.weight, &down.weight}; }
  void refresh(Backend& backend, Precision precision) {
    norm.refresh(backend, precision);
    for (LinearWeight* weight : {&gate, &up, &down}) weight->refresh(backend, precision, true);
  }
  Tensor forward(const ForwardContext& ctx, const Tensor& x) {
    const Tensor normed = rms_norm(ctx, x, norm, kEps);
    const Tensor act = swiglu(ctx, linear(ctx, normed, gate), linear(ctx, normed, up));
    return add(ctx, x, linear(ctx, act, down));
  }
};

Values reference_layer(std::span<const Values> inputs, std::span<const Values> weights,
                       Precision precision) {
  Values normed = inputs[0];
  for (std::size_t row = 0; row < normed.size(); row += kHidden) {
    double squares = 0;
    for (std::size_t i = 0; i < kHidden; ++i) squares += normed[row + i] * normed[row + i];
    const double rstd = 1.0 / std::sqrt(squares / kHidden + static_cast<double>(kEps));
    for (std::size_t i = 0; i < kHidden; ++i) {
      normed[row + i] *= rstd * rounded(weights[0][i], precision);
    }
  }
  Values act = product(normed, weights[1].data(), kRows, kInter, kHidden, precision);
  const Values up = product(normed, weights[2].data(), kRows, kInter, kHidden, precision);
  for (std::size_t i = 0; i < act.size(); ++i) act[i] *= sigmoid(act[i]) * up[i];
  Values out = product(act, weights[3].data(), kRows, kHidden, kInter, precision);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += inputs[0][i];
  return out;
}

// Two layers in a row, so that gradients pass from one recomputation to the next.
OpCase layers_case(const std::string& variant, bool recompute) {
  return {
      .op = "recomputed",
      .variant = variant,
      .inputs = {{.shape = {kRows, kHidden}}},
      .make =
          [recompute] {
            auto layers = std::make_shared<std::vector<Layer>>(2);
            std::vector<Weight*> weights;
            for (Layer& layer : *layers) {
              for (Weight* weight : layer.weights()) weights.push_back(weight);
            }
            return Op{
                .weights = weights,
                .refresh =
                    [layers](Backend& backend, Precision precision) {
                      for (Layer& layer : *layers) layer.refresh(backend, precision);
                    },
                .forward =
                    [layers, recompute](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                      Tensor x = inputs[0];
                      for (Layer& layer : *layers) {
                        const auto run = [&layer](const ForwardContext& inner, const Tensor& in) {
                          return layer.forward(inner, in);
                        };
                        x = recompute ? recomputed(ctx, x, run) : run(ctx, x);
                      }
                      return x;
                    },
                .reference =
                    [](std::span<const Values> inputs, std::span<const Values> values,
                       Precision precision) {
                      const Values middle = reference_layer(inputs, values.first(4), precision);
                      return reference_layer({&middle, 1}, values.subspan(4), precision);
                    },
            };
          },
      .bf16_tolerance = 1e-2,  // five roundings follow one another
  };
}

const Declare kRecomputed{layers_case("two_layers", true)};

TEST(Recomputed, GivesTheBitsOfTheRecordedLayer) {
  const OpCase again = layers_case("recomputed", true), recorded = layers_case("recorded", false);
  for (Precision precision : {Precision::f32, Precision::bf16}) {
    for (int uses : {1, 2}) {
      const Result a = run_case(again, {.threads = 2, .precision = precision, .uses = uses});
      const Result b = run_case(recorded, {.threads = 2, .precision = precision, .uses = uses});
      EXPECT_TRUE(same_bits(a.output, b.output));
      EXPECT_TRUE(same_bits(a.input_gradients[0], b.input_gradients[0]));
      for (std::size_t i = 0; i < a.weight_gradients.size(); ++i) {
        EXPECT_TRUE(same_bits(a.weight_gradients[i], b.weight_gradients[i])) << i;
      }
    }
  }
}

TEST(Recomputed, KeepsOnlyTheOutput) {
  Backend backend(1);
  Arena arena;
  Tape tape(arena);
  const ForwardContext ctx{backend, arena, Precision::f32, &tape};
  Layer layer;
  layer.refresh(backend, Precision::f32);
  const Tensor x = ctx.make_input({kRows, kHidden});
  std::fill_n(x.data, x.shape.count(), 0.5f);
  const Arena::Mark before = arena.mark();
  const Tensor out = recomputed(ctx, x, [&](const ForwardContext& inner, const Tensor& in) {
    return layer.forward(inner, in);
  });
  EXPECT_EQ(arena.mark().chunk, before.chunk);
  EXPECT_EQ(arena.mark().used - before.used, (out.shape.count() + 15) / 16 * 16);
  std::fill_n(tape.gradient(out), out.shape.count(), 1.0f);
  tape.gradient(x);
  const Arena::Mark seeded = arena.mark();
  tape.backward();
  EXPECT_EQ(arena.mark().used, seeded.used);
}

TEST(Recomputed, ALayerThatIgnoresItsInputGivesItNoGradient) {
  Backend backend(1);
  Arena arena;
  poison(arena);
  Tape tape(arena);
  const ForwardContext ctx{backend, arena, Precision::f32, &tape};
  const Tensor x = ctx.make_input({2, 3});
  const Tensor out = recomputed(ctx, x, [](const ForwardContext& inner, const Tensor& in) {
    const Tensor ones = inner.make_constant(in.shape);
    std::fill_n(ones.data, ones.shape.count(), 1.0f);
    return ones;
  });
  std::fill_n(tape.gradient(out), 6, 1.0f);
  tape.backward();
  EXPECT_TRUE(std::all_of(tape.gradient(x), tape.gradient(x) + 6, [](float g) { return g == 0; }));
}

}  // namespace
}  // namespace r1::gradient_check
