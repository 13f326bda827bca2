#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

constexpr std::int64_t kRows = 7, kExperts = 5, kPerToken = 2;
constexpr float kAlpha = 0.3f;

const std::vector<std::int32_t> kChosen = {0, 3, 3, 1, 0, 4, 3, 0, 0, 1, 4, 3, 0, 3};

// Equations 17 to 20 of the report, word by word.
double reference_loss(const Values& scores, std::span<const SequenceSpan> spans) {
  double total = 0;
  for (const SequenceSpan& span : spans) {
    for (std::int64_t i = 0; i < kExperts; ++i) {
      double fraction = 0, probability = 0;
      for (std::int64_t t = span.first_row; t < span.first_row + span.rows; ++t) {
        for (std::int64_t slot = 0; slot < kPerToken; ++slot) {
          fraction += kChosen[size(t * kPerToken + slot)] == i ? 1 : 0;
        }
        double sum = 0;
        for (std::int64_t j = 0; j < kExperts; ++j) sum += scores[size(t * kExperts + j)];
        probability += scores[size(t * kExperts + i)] / sum;
      }
      const auto tokens = static_cast<double>(span.rows);
      total += fraction * kExperts / (kPerToken * tokens) * probability / tokens;
    }
  }
  return static_cast<double>(kAlpha) * total / static_cast<double>(spans.size());
}

const Declare kTwoSequences{{
    .op = "sequence_balance_loss",
    .variant = "two_sequences",
    .inputs = {{.shape = {kRows, kExperts}, .positive = true}},
    .make =
        [] {
          const std::vector<SequenceSpan> spans = {
              {.first_row = 0, .rows = 3, .start = 0, .pages = {}},
              {.first_row = 3, .rows = 4, .start = 0, .pages = {}}};
          return Op{
              .weights = {},
              .refresh = {},
              .forward =
                  [spans](const ForwardContext& ctx, std::span<const Tensor> inputs) {
                    const Routing routing{
                        .experts = kChosen,
                        .weights = ctx.make_constant({kRows, kPerToken}),
                        .scores = inputs[0],
                        .load = {},
                    };
                    const RoutingConfig config{.experts = kExperts, .experts_per_token = kPerToken};
                    return sequence_balance_loss(ctx, routing, config, spans, kAlpha);
                  },
              .reference = [spans](std::span<const Values> inputs, auto,
                                   Precision) { return Values{reference_loss(inputs[0], spans)}; },
          };
        },
}};

}  // namespace
}  // namespace r1::gradient_check
