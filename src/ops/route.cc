#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "ops/ops.h"
#include "ops/parallel.h"

namespace r1 {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr float kTaken = std::numeric_limits<float>::quiet_NaN();
// Keeps the division defined when every chosen score underflowed, as in the published router.
constexpr float kTinySum = 1e-20f;

float without_nan(float value) { return std::isnan(value) ? kMinusInfinity : value; }

// Indices of the largest of `values`, which hold no NaN, best first and ties to the lower index.
// What was chosen is left as kTaken.
void take_largest(std::span<float> values, std::span<std::int32_t> chosen) {
  for (std::int32_t& choice : chosen) {
    std::size_t best = values.size();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (std::isnan(values[i])) continue;
      if (best == values.size() || values[i] > values[best]) best = i;
    }
    choice = static_cast<std::int32_t>(best);
    values[best] = kTaken;
  }
}

// Chooses experts token by token; holds the scratch that this takes.
class ExpertChooser {
 public:
  explicit ExpertChooser(const RoutingConfig& config)
      : config_(config),
        group_size_(static_cast<std::size_t>(config.experts / config.groups)),
        selection_(static_cast<std::size_t>(config.experts)),
        group_(group_size_),
        group_scores_(static_cast<std::size_t>(config.groups)),
        kept_(static_cast<std::size_t>(config.groups_per_token)) {}

  // scores and bias [experts], bias may be null; chosen [experts_per_token].
  void choose(const float* scores, const float* bias, std::span<std::int32_t> chosen) {
    for (std::size_t i = 0; i < selection_.size(); ++i) {
      selection_[i] = without_nan(bias == nullptr ? scores[i] : scores[i] + bias[i]);
    }
    if (config_.groups > 1) mask_groups();
    take_largest(selection_, chosen);
  }

 private:
  void mask_groups() {
    const auto top = static_cast<std::ptrdiff_t>(config_.group_score_top);
    const std::span<float> selection(selection_);
    for (std::size_t g = 0; g < group_scores_.size(); ++g) {
      const std::span<float> members = selection.subspan(g * group_size_, group_size_);
      std::copy(members.begin(), members.end(), group_.begin());
      std::partial_sort(group_.begin(), group_.begin() + top, group_.end(), std::greater<>());
      float sum = 0.0f;
      for (std::ptrdiff_t i = 0; i < top; ++i) sum += group_[static_cast<std::size_t>(i)];
      group_scores_[g] = without_nan(sum);
    }
    take_largest(group_scores_, kept_);
    for (std::size_t g = 0; g < group_scores_.size(); ++g) {
      if (std::isnan(group_scores_[g])) continue;  // taken, so its members stay
      std::ranges::fill(selection.subspan(g * group_size_, group_size_), kMinusInfinity);
    }
  }

  const RoutingConfig& config_;
  std::size_t group_size_;
  std::vector<float> selection_, group_, group_scores_;
  std::vector<std::int32_t> kept_;
};

void check_config(const RoutingConfig& config) {
  R1_CHECK(config.experts > 0 && config.groups > 0 && config.experts % config.groups == 0 &&
               config.experts_per_token > 0 && config.experts_per_token <= config.experts,
           "experts {} groups {} experts_per_token {}", config.experts, config.groups,
           config.experts_per_token);
  if (config.groups == 1) return;
  const std::int64_t size = config.experts / config.groups;
  R1_CHECK(config.groups_per_token > 0 && config.groups_per_token <= config.groups &&
               config.groups_per_token * size >= config.experts_per_token &&
               config.group_score_top > 0 && config.group_score_top <= size,
           "groups_per_token {} of {} with {} experts each, group_score_top {}",
           config.groups_per_token, config.groups, size, config.group_score_top);
}

// The chosen scores of a token, and what they are divided by before the scale.
float chosen_sum(const RoutingConfig& config, const float* scores, const std::int32_t* chosen) {
  if (!config.normalise) return 1.0f;
  float sum = 0.0f;
  for (std::int64_t slot = 0; slot < config.experts_per_token; ++slot) sum += scores[chosen[slot]];
  return sum + kTinySum;
}

struct Saved {
  RoutingConfig config;
  Tensor x, weights, scores;
  std::vector<std::int32_t> experts;
};

// One token, in place: the gradient of the scores becomes that of the logits. `dweights` may be
// null.
void token_backward(const VectorKernels& kernels, const Saved& saved, std::int64_t t,
                    const float* dweights, float* gradient) {
  const RoutingConfig& config = saved.config;
  const std::int64_t k = config.experts_per_token;
  const float* scores = saved.scores.row(t);
  if (dweights != nullptr) {
    // weight_i = scale s_i / sum, so ds_i = scale / sum (dw_i - sum_j dw_j s_j / sum).
    const std::int32_t* chosen = saved.experts.data() + t * k;
    const float* dw = dweights + t * k;
    const float sum = chosen_sum(config, scores, chosen);
    float mean = 0.0f;
    if (config.normalise) {
      for (std::int64_t slot = 0; slot < k; ++slot) mean += dw[slot] * scores[chosen[slot]];
      mean /= sum;
    }
    for (std::int64_t slot = 0; slot < k; ++slot) {
      gradient[chosen[slot]] += config.scale / sum * (dw[slot] - mean);
    }
  }
  const bool softmax = config.score == ScoreFunction::softmax;
  const float dot = softmax ? kernels.dot(config.experts, gradient, scores) : 0.0f;
  for (std::int64_t i = 0; i < config.experts; ++i) {
    gradient[i] =
        softmax ? scores[i] * (gradient[i] - dot) : gradient[i] * scores[i] * (1.0f - scores[i]);
  }
}

void route_backward(const ForwardContext& ctx, LinearWeight& gate, const Saved& saved) {
  Tape& tape = *ctx.tape;
  const bool weighted = tape.has_gradient(saved.weights);
  if (!weighted && !tape.has_gradient(saved.scores)) return;
  const std::int64_t rows = saved.x.rows(), hidden = gate.in_features();
  const std::int64_t experts = saved.config.experts;
  const float* dweights = weighted ? tape.gradient(saved.weights) : nullptr;
  // Its last reader, so the logits' gradient takes its place.
  float* gradient = tape.gradient(saved.scores);
  const VectorKernels& kernels = ctx.backend.kernels().vector;
  parallel_rows(ctx.backend, rows, experts, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      token_backward(kernels, saved, t, dweights, gradient + t * experts);
    }
  });
  if (const Tape::Slot dx = tape.claim(saved.x); dx.data != nullptr) {
    R1_CHECK(gate.backward.precision == Precision::f32 && gate.backward.k == experts,
             "{} was not refreshed for training", gate.weight.name);
    matmul(ctx.backend, gradient, experts, rows, gate.backward, dx.data, hidden, dx.accumulate);
  }
  if (float* dw = gate.weight.gradient_data(); dw != nullptr) {
    matmul_weight_gradient(ctx.backend, Precision::f32, gradient, experts, saved.x.data, hidden,
                           rows, experts, hidden, dw);
  }
}

}  // namespace

Routing route(const ForwardContext& ctx, const Tensor& x, LinearWeight& gate, const float* bias,
              const RoutingConfig& config) {
  check_config(config);
  const std::int64_t rows = x.rows(), hidden = gate.in_features();
  const std::int64_t experts = config.experts, k = config.experts_per_token;
  R1_CHECK(x.shape.count() == rows * hidden && gate.out_features() == experts && !gate.has_bias(),
           "x {} gate {} experts {}", to_string(x.shape), to_string(gate.weight.shape), experts);
  R1_CHECK(gate.forward.precision == Precision::f32 && gate.forward.n == experts,
           "{} was not refreshed in f32", gate.weight.name);
  Routing routing{.experts = std::vector<std::int32_t>(static_cast<std::size_t>(rows * k)),
                  .weights = ctx.make({rows, k}),
                  .scores = ctx.make({rows, experts}),
                  .load = std::vector<std::int64_t>(static_cast<std::size_t>(experts))};
  const ArenaScope scope(ctx.arena);
  float* logits = ctx.arena.allocate(rows * experts);
  matmul(ctx.backend, x.data, hidden, rows, gate.forward, logits, experts, false);

  const VectorKernels& kernels = ctx.backend.kernels().vector;
  const auto score = config.score == ScoreFunction::sigmoid ? kernels.sigmoid : kernels.softmax;
  parallel_rows(ctx.backend, rows, experts, [&](std::int64_t first, std::int64_t last) {
    ExpertChooser chooser(config);
    for (std::int64_t t = first; t < last; ++t) {
      float* scores = routing.scores.row(t);
      score(experts, logits + t * experts, scores);
      std::int32_t* chosen = routing.experts.data() + t * k;
      chooser.choose(scores, bias, {chosen, static_cast<std::size_t>(k)});
      const float sum = chosen_sum(config, scores, chosen);
      for (std::int64_t slot = 0; slot < k; ++slot) {
        routing.weights.row(t)[slot] = scores[chosen[slot]] / sum * config.scale;
      }
    }
  });
  for (std::int32_t expert : routing.experts) ++routing.load[static_cast<std::size_t>(expert)];

  if (ctx.tape != nullptr) {
    ctx.tape->record(
        [ctx, &gate, saved = Saved{config, x, routing.weights, routing.scores, routing.experts}] {
          route_backward(ctx, gate, saved);
        });
  }
  return routing;
}

}  // namespace r1
