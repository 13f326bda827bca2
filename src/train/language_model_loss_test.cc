#include "train/language_model_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "model/model_test_config.h"

namespace r1::train {
namespace {

using Gradients = std::vector<std::vector<float>>;

// Short and long sequences, one of them without any label.
std::vector<Sequence> documents(const ModelConfig& config) {
  std::vector<Sequence> sequences;
  for (const std::int64_t length : {9, 1, 2, 14, 3}) {
    sequences.push_back(
        model_test::random_tokens(config, static_cast<std::uint64_t>(length), length));
  }
  return sequences;
}

// One update's gradients, the sequences cut into micro-batches of at most max_tokens.
Gradients gradients(Backend& backend, Model& model, std::span<const Sequence> sequences,
                    std::int64_t max_tokens, const LanguageModelLossConfig& config,
                    LanguageModelLoss* sum = nullptr) {
  Arena arena;
  UpdateLabels labels;
  std::vector<PackedBatch> batches;
  std::size_t first = 0;
  for (const std::size_t end : cut_by_tokens(lengths_of(sequences), max_tokens)) {
    batches.push_back(pack(sequences.subspan(first, end - first)));
    add_labels(labels, count_labels(batches.back(), model.prediction_modules()));
    first = end;
  }
  model.clear_gradients();
  for (const PackedBatch& batch : batches) {
    const LanguageModelLoss part =
        language_model_loss(backend, arena, model, batch, labels, config);
    if (sum == nullptr) continue;
    sum->next_token += part.next_token;
    sum->further += part.further;
    sum->expert_load = part.expert_load;
  }
  model.collect_gradients();
  Gradients all;
  model.visit_weights(
      [&](Weight& weight) { all.emplace_back(weight.gradient.begin(), weight.gradient.end()); });
  return all;
}

bool same_bits(const Gradients& a, const Gradients& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    if (x.size() != y.size()) return false;  // weights that are not trained have none
    return x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
  });
}

// The loss in its plainest words, from forward passes without a tape. The experts chosen on the way
// are appended to `chosen`.
double loss_of(Backend& backend, Model& model, std::span<const Sequence> sequences, double lambda,
               std::vector<std::int32_t>& chosen) {
  std::vector<double> sums(static_cast<std::size_t>(model.prediction_modules()) + 1);
  std::vector<std::int64_t> counts(sums.size());
  Arena arena;
  const ForwardContext ctx{backend, arena, model.precision(), nullptr};
  for (const Sequence& sequence : sequences) {
    const ArenaScope scope(arena);
    ForwardTrace trace;
    ForwardOptions options;
    options.trace = &trace;
    Batch batch;
    batch.append(sequence);
    Tensor states = model.forward(ctx, batch, options);
    Tensor previous = states;
    for (std::size_t depth = 0; depth < sums.size(); ++depth) {
      if (depth > 0) {
        Sequence next(sequence.size(), 0);
        for (std::size_t t = 0; t + depth < sequence.size(); ++t) next[t] = sequence[t + depth];
        const auto further = model.predict_further(ctx, static_cast<std::int64_t>(depth) - 1,
                                                   previous, next, batch, options);
        states = further.normed;
        previous = further.residual;
      }
      Sequence labels(sequence.size(), kIgnoredLabel);
      for (std::size_t t = 0; t + depth + 1 < sequence.size(); ++t) {
        labels[t] = sequence[t + depth + 1];
        ++counts[depth];
      }
      const Tensor log_probs = token_log_probs(ctx, states, model.head(), labels, 1.0f, nullptr);
      for (std::size_t t = 0; t < sequence.size(); ++t) {
        sums[depth] -= static_cast<double>(log_probs.data[t]);
      }
    }
    for (const ForwardTrace::LayerRouting& routing : trace.routing) {
      chosen.insert(chosen.end(), routing.experts.begin(), routing.experts.end());
    }
  }
  double loss = sums[0] / static_cast<double>(counts[0]);
  for (std::size_t depth = 1; depth < sums.size(); ++depth) {
    loss += lambda / static_cast<double>(sums.size() - 1) * sums[depth] /
            static_cast<double>(counts[depth]);
  }
  return loss;
}

double norm_of(std::span<const double> values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

class LanguageModelLossTest : public testing::Test {
 protected:
  static constexpr double kLambda = 0.6;

  ModelConfig config(bool tied, std::int64_t modules) const {
    ModelConfig config = model_test::tiny_config();
    config.tie_word_embeddings = tied;
    config.num_nextn_predict_layers = modules;
    return config;
  }
  Backend backend_{1};  // models this small gain nothing from more
};

// Every weight's gradient along two directions: along itself (its size) and along a random one
// (what it lacks), against the change of the loss.
TEST_F(LanguageModelLossTest, GradientsOfAllWeightsByFiniteDifferences) {
  for (const bool tied : {false, true}) {
    const auto model = Model::initialise(backend_, config(tied, 2), r1::Precision::f32, 3);
    const std::vector<Sequence> sequences = documents(model->config());
    const Gradients found = gradients(backend_, *model, sequences, 1000, {kLambda, 0.0, false});
    std::vector<Weight*> weights;
    model->visit_weights([&](Weight& weight) { weights.push_back(&weight); });
    ASSERT_EQ(weights.size(), found.size());
    int compared = 0, moved = 0;
    for (std::size_t w = 0; w < weights.size(); ++w) {
      Weight& weight = *weights[w];
      if (!weight.trainable) {
        EXPECT_TRUE(found[w].empty()) << weight.name;
        continue;
      }
      const std::vector<float> kept(weight.value.begin(), weight.value.end());
      const std::vector<double> gradient(found[w].begin(), found[w].end());
      for (const bool along_itself : {true, false}) {
        std::vector<double> direction = gradient;
        Rng rng(5, static_cast<std::uint32_t>(w));
        if (!along_itself) {
          for (double& value : direction) value = static_cast<double>(rng.normal());
        }
        const double length = norm_of(direction);
        if (length == 0.0) continue;  // of experts that no token chose
        // Where another expert is chosen the loss jumps and no gradient describes it: a smaller
        // step, then, though the rounding of the losses weighs more in it.
        bool smooth = false;
        for (const double step : {4e-3, 5e-4}) {
          std::vector<double> losses;
          std::vector<std::int32_t> chosen[2];
          for (const double sign : {1.0, -1.0}) {
            for (std::size_t i = 0; i < kept.size(); ++i) {
              weight.value[i] = static_cast<float>(static_cast<double>(kept[i]) +
                                                   sign * step * direction[i] / length);
            }
            model->refresh(backend_);
            losses.push_back(loss_of(backend_, *model, sequences, kLambda, chosen[losses.size()]));
          }
          std::ranges::copy(kept, weight.value.begin());
          smooth = chosen[0] == chosen[1];
          if (!smooth) continue;
          const double measured = (losses[0] - losses[1]) / (2.0 * step);
          const double wanted =
              std::inner_product(gradient.begin(), gradient.end(), direction.begin(), 0.0) / length;
          EXPECT_NEAR(measured, wanted, 2e-4 + 6e-7 / step + 5e-3 * std::abs(wanted))
              << weight.name << (along_itself ? " along itself" : " at random");
          break;
        }
        if (!smooth) {
          ++moved;
          continue;
        }
        ++compared;
      }
    }
    EXPECT_GT(compared, 150);
    EXPECT_LT(moved, compared / 8);
  }
}

TEST_F(LanguageModelLossTest, SumsAreThoseOfPlainForwardPasses) {
  const auto model = Model::initialise(backend_, config(false, 1), r1::Precision::bf16, 3);
  const std::vector<Sequence> sequences = documents(model->config());
  LanguageModelLoss sum;
  gradients(backend_, *model, sequences, 1000, {kLambda, 0.0, false}, &sum);
  const PackedBatch packed = pack(sequences);
  std::vector<std::int32_t> chosen;
  const double wanted = loss_of(backend_, *model, sequences, kLambda, chosen);
  EXPECT_NEAR(sum.next_token / static_cast<double>(packed.label_count(1)) +
                  kLambda * sum.further / static_cast<double>(packed.label_count(2)),
              wanted, 1e-9);
  // Load: three experts of every token, in both mixtures and the module's own.
  ASSERT_EQ(sum.expert_load.size(), 3u);
  for (const std::vector<std::int64_t>& load : sum.expert_load) {
    EXPECT_EQ(std::accumulate(load.begin(), load.end(), std::int64_t{0}), 3 * packed.batch.rows());
  }
}

TEST_F(LanguageModelLossTest, MicroBatchesAddUpToTheUpdate) {
  const auto model = Model::initialise(backend_, config(false, 1), r1::Precision::f32, 3);
  const std::vector<Sequence> sequences = documents(model->config());
  const LanguageModelLossConfig loss{kLambda, 0.1, false};
  const Gradients whole = gradients(backend_, *model, sequences, 1000, loss);
  const Gradients parts = gradients(backend_, *model, sequences, 10, loss);
  for (std::size_t w = 0; w < whole.size(); ++w) {
    for (std::size_t i = 0; i < whole[w].size(); ++i) {
      ASSERT_NEAR(whole[w][i], parts[w][i], 2e-5f) << w << " " << i;
    }
  }
}

TEST_F(LanguageModelLossTest, TheBalanceLossReachesTheGates) {
  const auto model = Model::initialise(backend_, config(false, 0), r1::Precision::f32, 3);
  const std::vector<Sequence> sequences = documents(model->config());
  const Gradients without = gradients(backend_, *model, sequences, 1000, {0.0, 0.0, false});
  const Gradients with = gradients(backend_, *model, sequences, 1000, {0.0, 0.5, false});
  std::size_t w = 0, gates = 0;
  model->visit_weights([&](Weight& weight) {
    const bool head = weight.name == "lm_head.weight" || weight.name == "model.norm.weight";
    if (weight.name.ends_with("mlp.gate.weight")) {
      EXPECT_FALSE(same_bits({with[w]}, {without[w]})) << weight.name;
      ++gates;
    } else if (head) {
      EXPECT_TRUE(same_bits({with[w]}, {without[w]})) << weight.name;
    }
    ++w;
  });
  EXPECT_EQ(gates, 2u);
}

TEST_F(LanguageModelLossTest, NoWeightOnFurtherTokensLeavesTheModulesAlone) {
  const auto model = Model::initialise(backend_, config(false, 1), r1::Precision::f32, 3);
  const Gradients found =
      gradients(backend_, *model, documents(model->config()), 1000, {0.0, 0.0, false});
  std::size_t w = 0;
  model->visit_weights([&](Weight& weight) {
    if (weight.name.starts_with("model.layers.3.")) {
      EXPECT_TRUE(std::ranges::all_of(found[w], [](float g) { return g == 0.0f; })) << weight.name;
    }
    ++w;
  });
}

// The bits of a whole update: recomputation, threads and instruction sets change none.
TEST_F(LanguageModelLossTest, OneSetOfBits) {
  for (const r1::Precision precision : {r1::Precision::f32, r1::Precision::bf16}) {
    const LanguageModelLossConfig loss{kLambda, 0.1, false};
    const auto update = [&](int threads, Isa isa, bool recompute) {
      Backend backend(threads, isa);
      const auto model = Model::initialise(backend, config(false, 1), precision, 3);
      LanguageModelLossConfig changed = loss;
      changed.recompute_layers = recompute;
      return gradients(backend, *model, documents(model->config()), 20, changed);
    };
    const Gradients wanted = update(1, Isa::scalar, false);
    for (const Isa isa : supported_isas()) {
      for (const int threads : {1, 2, 3}) {
        EXPECT_TRUE(same_bits(update(threads, isa, false), wanted))
            << name_of(isa) << " with " << threads << " threads";
      }
      EXPECT_TRUE(same_bits(update(2, isa, true), wanted)) << name_of(isa) << " recomputed";
    }
  }
}

// A measured pass that is not collected must leave nothing behind for the next update.
TEST_F(LanguageModelLossTest, ClearedGradientsAreAllClear) {
  for (const bool tied : {false, true}) {
    const auto model = Model::initialise(backend_, config(tied, 1), r1::Precision::f32, 3);
    const std::vector<Sequence> sequences = documents(model->config());
    const LanguageModelLossConfig loss{kLambda, 0.0, false};
    const Gradients wanted = gradients(backend_, *model, sequences, 1000, loss);
    model->clear_gradients();
    Arena arena;
    const PackedBatch packed = pack(sequences);
    language_model_loss(backend_, arena, *model, packed, count_labels(packed, 1), loss);
    EXPECT_TRUE(same_bits(gradients(backend_, *model, sequences, 1000, loss), wanted)) << tied;
  }
}

// --- balancing without a loss

TEST_F(LanguageModelLossTest, TheBiasFollowsTheLoad) {
  const auto model = Model::initialise(backend_, config(false, 1), r1::Precision::f32, 3);
  const std::vector<std::int64_t> load = {10, 0, 5, 5, 4, 6, 5, 5};  // mean 5
  update_routing_bias(*model, {load, std::vector<std::int64_t>(8, 3), load}, 0.125);
  const std::vector<MixtureOfExperts*> mixtures = model->mixtures();
  ASSERT_EQ(mixtures.size(), 3u);
  const std::vector<float> moved = {-0.125f, 0.125f, 0, 0, 0.125f, -0.125f, 0, 0};
  for (const std::size_t layer : {0u, 2u}) {
    const float* bias = mixtures[layer]->routing_bias();
    EXPECT_EQ(std::vector<float>(bias, bias + 8), moved) << layer;
  }
  const float* even = mixtures[1]->routing_bias();
  EXPECT_EQ(std::vector<float>(even, even + 8), std::vector<float>(8, 0.0f));
}

TEST_F(LanguageModelLossTest, ASkewedRouterIsBalanced) {
  ModelConfig shape = config(false, 0);
  shape.n_group = shape.topk_group = 1;
  const auto model = Model::initialise(backend_, shape, r1::Precision::f32, 3);
  // Two experts that all tokens prefer.
  for (MixtureOfExperts* mixture : model->mixtures()) {
    mixture->routing_bias()[1] = mixture->routing_bias()[6] = 1.0f;
  }
  const std::vector<Sequence> sequences = {model_test::random_tokens(shape, 1, 200)};
  const auto imbalance = [&] {
    LanguageModelLoss sum;
    gradients(backend_, *model, sequences, 1000, {0.0, 0.0, false}, &sum);
    update_routing_bias(*model, sum.expert_load, 0.02);
    double worst = 0.0;
    for (const std::vector<std::int64_t>& load : sum.expert_load) {
      worst = std::max(worst, static_cast<double>(std::ranges::max(load)) / (200.0 * 3.0 / 8.0));
    }
    return worst;
  };
  EXPECT_GT(imbalance(), 2.0);
  double last = 0.0;
  for (int step = 0; step < 60; ++step) last = imbalance();
  EXPECT_LT(last, 1.4);
}

}  // namespace
}  // namespace r1::train
