#pragma once

#include <vector>

#include "engine/drafter.h"
#include "engine/sampler.h"

namespace r1 {

// What the drafters that compute have in common: they catch up with the pass, then take turns of
// drawing a proposal for each sequence and computing one more row of each.
class NetworkDrafter : public Drafter {
 public:
  void propose(const ForwardContext& ctx, const Tensor& states,
               std::span<const Draftee> draftees) final;

 protected:
  explicit NetworkDrafter(LinearWeight& head) : head_(head) {}

  // Rows of `states` [any, hidden] that predict the next token, one for each sequence.
  struct Predicting {
    Tensor states;
    std::span<const std::int32_t> rows;
  };

  // How many tokens it can propose for a sequence that wants some.
  virtual std::int64_t reach(const Draftee& draftee) const { return draftee.wanted; }
  // Computes what is new of all sequences. wanting: the indices, ascending, of those that want a
  // proposal; they are the sequences of the result.
  virtual Predicting catch_up(const ForwardContext& ctx, const Tensor& states,
                              std::span<const Draftee> draftees,
                              std::span<const std::size_t> wanting) = 0;
  // Computes the row of each sequence's newest proposal. rows: where each of them stood in the
  // states of the call before, catch_up() or this one.
  virtual Predicting go_on(const ForwardContext& ctx, std::span<Sequence* const> sequences,
                           std::span<const std::int32_t> rows) = 0;

 private:
  LinearWeight& head_;
  Sampler sampler_;
  // Of the current step; kept for their memory.
  std::vector<std::size_t> wanting_;   // indices of draftees
  std::vector<std::int64_t> missing_;  // proposals that each sequence still lacks
  std::vector<Sequence*> sequences_;
  std::vector<std::int32_t> rows_;
  std::vector<Sampler::Draw> draws_;
};

// The model's own multi-token prediction module. Row i of its cache, one layer after the model's,
// joins the model's state of token i with token i + 1. For further proposals the module reads its
// own normed state in place of the model's, which is not what it was trained on: they are right
// less often. A model with several modules uses the first.
std::unique_ptr<Drafter> make_prediction_drafter(Model& model, KvCache& cache);

// A model of its own with a cache of its own.
std::unique_ptr<Drafter> make_model_drafter(Model& draft_model, std::int64_t pages);

}  // namespace r1
