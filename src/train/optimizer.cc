#include "train/optimizer.h"

#include <algorithm>
#include <cmath>

#include "train/muon.h"

namespace r1::train {
namespace {

// Work is handed out in blocks of this many numbers; sums over blocks run in block order.
constexpr std::int64_t kBlock = 16384;

struct Block {
  std::size_t weight;
  std::int64_t first, count;
};

}  // namespace

Optimizer::Optimizer(Model& model, const OptimizerConfig& config) : model_(model), config_(config) {
  R1_CHECK(model.training(), "the model was loaded for inference");
  model.visit_weights([&](Weight& weight) {
    if (!weight.trainable) return;
    const std::size_t count = static_cast<std::size_t>(weight.count());
    const bool muon = config.optim == OptimizerKind::kMuon && is_hidden_matrix(weight);
    moments_.push_back({&weight, AlignedBuffer<float>(count),
                        muon ? AlignedBuffer<float>() : AlignedBuffer<float>(count)});
  });
}

void Optimizer::set_steps(std::int64_t steps) {
  steps_ = 0;
  beta1_power_ = beta2_power_ = 1.0;
  // Repeated products, not pow(): a resumed run must arrive at the same bits.
  for (; steps_ < steps; ++steps_) {
    beta1_power_ *= config_.adam_beta1;
    beta2_power_ *= config_.adam_beta2;
  }
}

double Optimizer::step(Backend& backend, double learning_rate) {
  backend.begin_work();
  std::vector<Block> blocks;
  std::vector<Weight*> weights;
  model_.visit_weights([&](Weight& weight) {
    if (!weight.trainable) return;
    weights.push_back(&weight);
    for (std::int64_t first = 0; first < weight.count(); first += kBlock) {
      blocks.push_back({weights.size() - 1, first, std::min(kBlock, weight.count() - first)});
    }
  });
  const VectorKernels& kernels = backend.kernels().vector;
  const std::int64_t block_count = static_cast<std::int64_t>(blocks.size());

  std::vector<double> squares(blocks.size());
  backend.parallel_for(block_count, [&](std::int64_t i) {
    const Block& block = blocks[static_cast<std::size_t>(i)];
    squares[static_cast<std::size_t>(i)] =
        kernels.sum_of_squares(block.count, weights[block.weight]->gradient.data() + block.first);
  });
  double total = 0.0;
  for (const double square : squares) total += square;
  const double norm = std::sqrt(total);

  if (std::isfinite(norm)) {
    ++steps_;
    beta1_power_ *= config_.adam_beta1;
    beta2_power_ *= config_.adam_beta2;
    const bool clip = config_.max_grad_norm > 0.0 && norm > config_.max_grad_norm;
    AdamWStep constants{};
    constants.learning_rate = static_cast<float>(learning_rate);
    constants.beta1 = static_cast<float>(config_.adam_beta1);
    constants.beta2 = static_cast<float>(config_.adam_beta2);
    constants.epsilon = static_cast<float>(config_.adam_epsilon);
    constants.bias_correction1 = static_cast<float>(1.0 - beta1_power_);
    constants.bias_correction2 = static_cast<float>(1.0 - beta2_power_);
    constants.gradient_scale = clip ? static_cast<float>(config_.max_grad_norm / norm) : 1.0f;
    backend.parallel_for(block_count, [&](std::int64_t i) {
      const Block& block = blocks[static_cast<std::size_t>(i)];
      Weight& weight = *weights[block.weight];
      Moments& moments = moments_[block.weight];
      if (moments.muon()) return;
      AdamWStep step = constants;
      step.weight_decay = weight.decay ? static_cast<float>(config_.weight_decay) : 0.0f;
      kernels.adamw(block.count, step, weight.gradient.data() + block.first,
                    moments.first.data() + block.first, moments.second.data() + block.first,
                    weight.value.data() + block.first);
    });
    MuonStep muon{.learning_rate = learning_rate,
                  .momentum = config_.muon_momentum,
                  .weight_decay = config_.weight_decay,
                  .gradient_scale = clip ? config_.max_grad_norm / norm : 1.0};
    // A matrix is too small to share between threads; there are many.
    backend.parallel_for(std::ssize(moments_), [&](std::int64_t i) {
      Moments& moments = moments_[static_cast<std::size_t>(i)];
      if (!moments.muon()) return;
      Backend alone(1, backend.isa());
      muon_step(alone, muon, *weights[static_cast<std::size_t>(i)], moments.first.data());
    });
  }
  model_.clear_gradients();
  model_.refresh(backend);
  return norm;
}

double learning_rate_at(const OptimizerConfig& config, std::int64_t step, std::int64_t max_steps) {
  const double peak = config.learning_rate;
  if (step < config.warmup_steps) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(config.warmup_steps);
  }
  if (config.lr_scheduler_type == LrScheduler::kConstant) return peak;
  const double span =
      static_cast<double>(std::max<std::int64_t>(max_steps - config.warmup_steps, 1));
  const double progress = std::min(1.0, static_cast<double>(step - config.warmup_steps) / span);
  const double shape = config.lr_scheduler_type == LrScheduler::kLinear
                           ? 1.0 - progress
                           : 0.5 * (1.0 + std::cos(M_PI * progress));
  return peak * (config.min_lr_rate + (1.0 - config.min_lr_rate) * shape);
}

}  // namespace r1::train
