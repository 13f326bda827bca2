#include "ops/gradient_check.h"

namespace r1::gradient_check {
namespace {

const Declare kRepeatedIds{{
    .op = "embedding",
    .variant = "repeated_ids",
    .inputs = {},
    .make =
        [] {
          constexpr std::int64_t kHidden = 70;
          const std::vector<std::int32_t> ids = {3, 0, 3, 4, 3};
          auto table = std::make_shared<TableWeight>();
          table->weight = random_weight({5, kHidden}, 1);
          return Op{
              .weights = {&table->weight},
              .refresh = [table](Backend& backend,
                                 Precision precision) { table->refresh(backend, precision); },
              .forward = [table, ids](const ForwardContext& ctx,
                                      auto) { return embedding(ctx, *table, ids); },
              .reference =
                  [ids](auto, std::span<const Values> weights, Precision precision) {
                    Values out;
                    for (std::int32_t id : ids) {
                      for (std::int64_t i = 0; i < kHidden; ++i) {
                        out.push_back(rounded(weights[0][size(id * kHidden + i)], precision));
                      }
                    }
                    return out;
                  },
          };
        },
}};

}  // namespace
}  // namespace r1::gradient_check
