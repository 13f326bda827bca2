#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "ops/weight.h"

namespace r1::train {

// Muon (Jordan 2024; with the scale of Liu et al. 2025, "Muon is Scalable for LLM Training", 2.2):
// the momentum of a weight matrix is replaced by its nearest orthogonal matrix, so that rare
// directions move as far as frequent ones.

// Whether Muon applies: matrices between hidden states. Embeddings, the output head, the router's
// gate and vectors stay with AdamW.
bool is_hidden_matrix(const Weight& weight);

struct MuonStep {
  double learning_rate;
  double momentum;
  double weight_decay;    // decoupled
  double gradient_scale;  // of clipping
};

// momentum = mu * momentum + g; the update is Nesterov's g + mu * momentum, orthogonalised and
// scaled by 0.2 * sqrt(max(rows, columns)), the root mean square of an AdamW update. `momentum` has
// weight.count() numbers. One thread; `backend` must not be in use elsewhere.
void muon_step(Backend& backend, const MuonStep& step, Weight& weight, float* momentum);

// Replaces x [rows, columns] by nearly U V^T of its singular value decomposition: five
// Newton-Schulz iterations in bf16 products, after which singular values lie within about 0.7
// to 1.2. All zeros stay zeros.
void orthogonalize(Backend& backend, std::vector<float>& x, std::int64_t rows,
                   std::int64_t columns);

}  // namespace r1::train
