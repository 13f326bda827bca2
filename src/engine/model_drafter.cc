#include <algorithm>

#include "engine/network_drafter.h"

namespace r1 {
namespace {

class ModelDrafter final : public NetworkDrafter {
 public:
  ModelDrafter(Model& model, std::int64_t pages)
      : NetworkDrafter(model.head()),
        model_(model),
        cache_(model.config().num_hidden_layers, model.config().kv_row_size(), model.precision(),
               pages) {
    batch_.cache = &cache_;
  }

  void copy_rows(std::int32_t from, std::int32_t to, std::int64_t rows) override {
    cache_.copy_rows(from, to, rows);
  }

 private:
  std::int64_t context() const { return model_.config().max_position_embeddings; }

  // The last proposal is drawn, never computed.
  std::int64_t reach(const Draftee& draftee) const override {
    return std::min(draftee.wanted, context() + 1 - draftee.sequence->size());
  }

  Predicting catch_up(const ForwardContext& ctx, const Tensor& /*states*/,
                      std::span<const Draftee> draftees,
                      std::span<const std::size_t> wanting) override {
    batch_.clear();
    last_rows_.clear();
    auto next_wanting = wanting.begin();
    for (std::size_t i = 0; i < draftees.size(); ++i) {
      Sequence& sequence = *draftees[i].sequence;
      const bool wants = next_wanting != wanting.end() && *next_wanting == i;
      // Rows of its own proposals are there already as far as they were kept.
      const std::int64_t sure = sequence.computed + draftees[i].rows;
      const std::int64_t first = std::min(sequence.draft_computed, sure);
      const std::int64_t end = std::min(wants ? sure + 1 : sure, context());
      sequence.draft_computed = std::max(first, end);
      if (end > first) {
        batch_.append(sequence.part(first, end - first), first, sequence.run.pages);
      }
      if (!wants) continue;
      last_rows_.push_back(static_cast<std::int32_t>(batch_.rows() - 1));
      ++next_wanting;
    }
    return forward(ctx);
  }

  Predicting go_on(const ForwardContext& ctx, std::span<Sequence* const> sequences,
                   std::span<const std::int32_t> /*rows*/) override {
    batch_.clear();
    last_rows_.clear();
    for (Sequence* sequence : sequences) {
      const std::int64_t newest = std::ssize(sequence->tokens) - 1;
      last_rows_.push_back(static_cast<std::int32_t>(batch_.rows()));
      batch_.append(sequence->part(newest, 1), newest, sequence->run.pages);
      sequence->draft_computed = newest + 1;
    }
    return forward(ctx);
  }

  Predicting forward(const ForwardContext& outer) {
    if (batch_.rows() == 0) return {};
    const ForwardContext ctx{outer.backend, outer.arena, model_.precision(), nullptr};
    return {model_.forward(ctx, batch_), last_rows_};
  }

  Model& model_;
  KvCache cache_;
  Batch batch_;
  std::vector<std::int32_t> last_rows_;
};

}  // namespace

std::unique_ptr<Drafter> make_model_drafter(Model& draft_model, std::int64_t pages) {
  return std::make_unique<ModelDrafter>(draft_model, pages);
}

}  // namespace r1
