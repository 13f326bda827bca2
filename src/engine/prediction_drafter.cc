#include <numeric>

#include "engine/network_drafter.h"

namespace r1 {
namespace {

class PredictionDrafter final : public NetworkDrafter {
 public:
  PredictionDrafter(Model& model, KvCache& cache) : NetworkDrafter(model.head()), model_(model) {
    batch_.cache = &cache;
  }

 private:
  Predicting catch_up(const ForwardContext& ctx, const Tensor& states,
                      std::span<const Draftee> draftees,
                      std::span<const std::size_t> wanting) override {
    batch_.clear();
    rows_.clear();
    wanted_rows_.clear();
    auto next_wanting = wanting.begin();
    for (std::size_t i = 0; i < draftees.size(); ++i) {
      const auto& [sequence, first_row, rows, wanted] = draftees[i];
      batch_.append(sequence->part(sequence->computed + 1, rows), sequence->computed,
                    sequence->run.pages);
      for (std::int64_t row = 0; row < rows; ++row) {
        rows_.push_back(static_cast<std::int32_t>(first_row + row));
      }
      if (next_wanting == wanting.end() || *next_wanting != i) continue;
      wanted_rows_.push_back(static_cast<std::int32_t>(batch_.rows() - 1));
      ++next_wanting;
    }
    return predict(ctx, select_rows(ctx, states, rows_));
  }

  Predicting go_on(const ForwardContext& ctx, std::span<Sequence* const> sequences,
                   std::span<const std::int32_t> rows) override {
    batch_.clear();
    wanted_rows_.clear();
    for (const Sequence* sequence : sequences) {
      // The newest token is the row's next one.
      const std::int64_t newest = std::ssize(sequence->tokens) - 1;
      wanted_rows_.push_back(static_cast<std::int32_t>(batch_.rows()));
      batch_.append(sequence->part(newest, 1), newest - 1, sequence->run.pages);
    }
    return predict(ctx, select_rows(ctx, states_, rows));
  }

  // Runs the module on the batch, whose ids are each row's next token.
  Predicting predict(const ForwardContext& ctx, const Tensor& previous) {
    ForwardOptions options;
    options.wanted_rows = wanted_rows_;
    states_ = model_.predict_further(ctx, 0, previous, batch_.ids, batch_, options).normed;
    places_.resize(wanted_rows_.size());
    std::iota(places_.begin(), places_.end(), 0);
    return {states_, places_};
  }

  Model& model_;
  Tensor states_;  // the module's, of the rows that were wanted last
  Batch batch_;
  std::vector<std::int32_t> rows_;         // of the model's states that are read
  std::vector<std::int32_t> wanted_rows_;  // of the batch
  std::vector<std::int32_t> places_;       // of the same in states_: 0, 1, ...
};

}  // namespace

std::unique_ptr<Drafter> make_prediction_drafter(Model& model, KvCache& cache) {
  return std::make_unique<PredictionDrafter>(model, cache);
}

}  // namespace r1
