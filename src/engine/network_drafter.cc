#include "engine/network_drafter.h"

namespace r1 {

void NetworkDrafter::propose(const ForwardContext& ctx, const Tensor& states,
                             std::span<const Draftee> draftees) {
  wanting_.clear();
  sequences_.clear();
  missing_.clear();
  for (std::size_t i = 0; i < draftees.size(); ++i) {
    const std::int64_t count = draftees[i].wanted > 0 ? reach(draftees[i]) : 0;
    if (count <= 0) continue;
    wanting_.push_back(i);
    sequences_.push_back(draftees[i].sequence);
    missing_.push_back(count);
  }
  Predicting predicting = catch_up(ctx, states, draftees, wanting_);
  while (!sequences_.empty()) {
    draws_.clear();
    for (const Sequence* sequence : sequences_) {
      draws_.push_back({.params = &sequence->sampling, .tokens = sequence->tokens});
    }
    sampler_.draw(ctx, predicting.states, predicting.rows, head_, draws_);
    // Those that lack more stay, and compute the row of what they were given.
    rows_.clear();
    std::size_t staying = 0;
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      // Logits that are not finite propose token 0, which is as wrong as any.
      sequences_[i]->tokens.push_back(draws_[i].token.id);
      ++sequences_[i]->drafted;
      if (--missing_[i] == 0) continue;
      sequences_[staying] = sequences_[i];
      missing_[staying++] = missing_[i];
      rows_.push_back(predicting.rows[i]);
    }
    sequences_.resize(staying);
    missing_.resize(staying);
    if (staying > 0) predicting = go_on(ctx, sequences_, rows_);
  }
}

}  // namespace r1
