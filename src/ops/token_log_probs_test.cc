#include <gtest/gtest.h>

#include <algorithm>

#include "ops/gradient_check.h"
#include "ops/row_log_prob.h"

namespace r1::gradient_check {
namespace {

constexpr std::int64_t kHidden = 19;

// Targets over the vocabulary, every fourth ignored.
std::vector<std::int32_t> some_targets(std::int64_t rows, std::int64_t vocab) {
  std::vector<std::int32_t> targets;
  for (std::int64_t t = 0; t < rows; ++t) {
    targets.push_back(t % 4 == 1 ? kIgnoredLabel : static_cast<std::int32_t>(t * 7 % vocab));
  }
  return targets;
}

OpCase log_probs_case(const std::string& variant, std::int64_t rows, std::int64_t vocab,
                      float temperature_inverse) {
  return {
      .op = "token_log_probs",
      .variant = variant,
      .inputs = {{.shape = {rows, kHidden}}},
      .make =
          [=] {
            auto head = std::make_shared<LinearWeight>(random_linear(vocab, kHidden, 1));
            const std::vector<std::int32_t> targets = some_targets(rows, vocab);
            return Op{
                .weights = {&head->weight},
                .refresh = [head](Backend& backend,
                                  Precision precision) { head->refresh(backend, precision, true); },
                .forward =
                    [=](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                      return token_log_probs(ctx, inputs[0], *head, targets, temperature_inverse,
                                             nullptr);
                    },
                .reference =
                    [=](std::span<const Values> inputs, std::span<const Values> weights,
                        Precision precision) {
                      const Values logits =
                          product(inputs[0], weights[0].data(), rows, vocab, kHidden, precision);
                      Values out;
                      for (std::int64_t t = 0; t < rows; ++t) {
                        double sum = 0;
                        const auto logit = [&](std::int64_t v) {
                          return logits[size(t * vocab + v)] *
                                 static_cast<double>(temperature_inverse);
                        };
                        for (std::int64_t v = 0; v < vocab; ++v) sum += std::exp(logit(v));
                        const std::int32_t target = targets[size(t)];
                        out.push_back(target == kIgnoredLabel ? 0.0
                                                              : logit(target) - std::log(sum));
                      }
                      return out;
                    },
            };
          },
  };
}

const Declare kPlain{log_probs_case("plain", 9, 37, 1.0f)};
const Declare kTemperature{log_probs_case("temperature", 6, 21, 0.7f)};
// 278 labelled rows: more than one chunk.
const Declare kChunks{log_probs_case("chunks", 370, 5, 1.0f)};

// What a sampler reads from the logits of single rows is what the trainer gets for the batch.
TEST(TokenLogProbs, SamplerReadsTheSameBits) {
  constexpr std::int64_t kRows = 300, kVocab = 43;
  Backend backend(2);
  LinearWeight head = random_linear(kVocab, kHidden, 1);
  const std::vector<float> states = random_floats(kRows * kHidden, 2);
  const std::vector<std::int32_t> targets = some_targets(kRows, kVocab);
  for (Precision precision : {Precision::f32, Precision::bf16}) {
    head.refresh(backend, precision, false);
    for (float temperature_inverse : {1.0f, 1.0f / 0.6f}) {
      Arena arena;
      const ForwardContext ctx{backend, arena, precision};
      Tensor x = ctx.make_input({kRows, kHidden});
      std::copy(states.begin(), states.end(), x.data);
      std::vector<float> entropy(size(kRows));
      const Tensor out =
          token_log_probs(ctx, x, head, targets, temperature_inverse, entropy.data());
      const VectorKernels& kernels = backend.kernels().vector;
      for (std::int64_t t = 0; t < kRows; ++t) {
        if (targets[size(t)] == kIgnoredLabel) {
          EXPECT_EQ(out.data[t], 0.0f);
          EXPECT_EQ(entropy[size(t)], 0.0f);
          continue;
        }
        const Tensor logits = linear(ctx, Tensor{x.row(t), {1, kHidden}}, head);
        float sampled = 0, measured = 0;
        backend.parallel_for(1, [&](std::int64_t) {
          const float lse = scaled_log_sum_exp(kernels, kVocab, temperature_inverse, logits.data);
          sampled = row_log_prob(logits.data, lse, targets[size(t)]);
          measured = kernels.entropy(kVocab, logits.data, lse);
        });
        EXPECT_TRUE(same_bits({sampled, measured}, {out.data[t], entropy[size(t)]})) << t;
      }
    }
  }
}

TEST(TokenLogProbs, AllIgnoredGivesZerosAndNoGradient) {
  Backend backend(1);
  Arena arena;
  Tape tape(arena);
  const ForwardContext ctx{backend, arena, Precision::f32, &tape};
  LinearWeight head = random_linear(5, kHidden, 1);
  head.refresh(backend, Precision::f32, true);
  const Tensor x = ctx.make_input({3, kHidden});
  std::fill_n(x.data, x.shape.count(), 1.0f);
  const std::vector<std::int32_t> targets(3, kIgnoredLabel);
  const Tensor out = token_log_probs(ctx, x, head, targets, 1.0f, nullptr);
  EXPECT_TRUE(std::all_of(out.data, out.data + 3, [](float p) { return p == 0.0f; }));
  std::fill_n(tape.gradient(out), 3, 1.0f);
  tape.backward();
  const float* dx = tape.gradient(x);
  EXPECT_TRUE(std::all_of(dx, dx + x.shape.count(), [](float g) { return g == 0.0f; }));
  EXPECT_TRUE(std::ranges::all_of(head.weight.gradient, [](float g) { return g == 0.0f; }));
}

}  // namespace
}  // namespace r1::gradient_check
