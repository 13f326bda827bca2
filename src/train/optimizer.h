#pragma once

#include <cstdint>
#include <vector>

#include "model/model.h"
#include "train/recipe.h"

namespace r1::train {

// AdamW (Loshchilov & Hutter 2019) over a model's fp32 masters, or Muon (muon.h) for its hidden
// matrices and AdamW for the rest, with clipping of the global gradient norm. Same bits whatever
// the thread count.
class Optimizer {
 public:
  // Momenta begin at zero. The model must be a training one and outlive the optimiser.
  Optimizer(Model& model, const OptimizerConfig& config);

  // Reads the gradients (after Model::collect_gradients), moves the masters, clears the gradients
  // and renews the model's working copies. Returns the gradient norm before clipping. A norm that
  // is not finite leaves weights and momenta as they are.
  double step(Backend& backend, double learning_rate);

  // What a checkpoint must keep besides the masters.
  struct Moments {
    const Weight* weight;
    AlignedBuffer<float> first, second;  // Muon has no second
    bool muon() const { return second.empty(); }
  };
  std::vector<Moments>& moments() { return moments_; }
  std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t steps);

 private:
  Model& model_;
  OptimizerConfig config_;
  std::vector<Moments> moments_;
  std::int64_t steps_ = 0;
  double beta1_power_ = 1.0, beta2_power_ = 1.0;  // beta^steps
};

// The learning rate of update number `step` (from 0): linear warm-up from zero, then constant,
// linear or cosine down to min_lr_rate at max_steps.
double learning_rate_at(const OptimizerConfig& config, std::int64_t step, std::int64_t max_steps);

}  // namespace r1::train
