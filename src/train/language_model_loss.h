#pragma once

#include <span>

#include "model/model.h"
#include "train/packing.h"

namespace r1::train {

struct LanguageModelLossConfig {
  double mtp_loss_weight = 0.0;    // lambda of the DeepSeek-V3 report, equation 25
  double seq_balance_alpha = 0.0;  // alpha of equation 17
  bool recompute_layers = false;
};

// Sums over one micro-batch; divide by the labels of the whole update.
struct LanguageModelLoss {
  double next_token = 0.0;                             // -sum log p of the labels one place further
  double further = 0.0;                                // the same of all prediction modules
  std::vector<std::vector<std::int64_t>> expert_load;  // [MoE layers][experts]
};

// Labels of a whole update, by which its losses are averaged.
struct UpdateLabels {
  std::int64_t next_token = 0;
  std::vector<std::int64_t> further;  // per prediction module
  std::int64_t sequences = 0;
};
UpdateLabels count_labels(const PackedBatch& packed, std::int64_t prediction_modules);
void add_labels(UpdateLabels& sum, const UpdateLabels& part);

// Forward and backward of one micro-batch: adds the gradient of
//   mean CE + lambda / modules * sum over modules of mean CE + balance loss
// of its share of the update to the model's weights. The arena is used from its mark on and reset.
LanguageModelLoss language_model_loss(Backend& backend, Arena& arena, Model& model,
                                      const PackedBatch& packed, const UpdateLabels& update,
                                      const LanguageModelLossConfig& config);

// The auxiliary-loss-free balancing of section 2.1.2: after an update, the bias of an expert whose
// load was above the layer's mean falls by `speed`, that of one below rises.
void update_routing_bias(Model& model, const std::vector<std::vector<std::int64_t>>& expert_load,
                         double speed);

}  // namespace r1::train
