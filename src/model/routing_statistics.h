#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/model.h"

namespace r1 {

// How the tokens of a text spread over the experts of one layer.
struct LayerRouting {
  std::int64_t layer = 0;
  std::int64_t tokens = 0;
  std::vector<std::int64_t> load;  // [experts] tokens that each was chosen for

  // The busiest expert's load over the mean; 1 is an even spread.
  double imbalance() const;
  // Entropy of the loads over that of an even spread, 0 to 1.
  double evenness() const;
  std::int64_t unused() const;
  // The `count` busiest experts, busiest first, ties to the lower index.
  std::vector<std::int64_t> busiest(std::int64_t count) const;
};

// Reads the text once, in chunks, and counts; one entry per layer with experts, none for a dense
// model. Throws Error when the text is empty or longer than the context.
std::vector<LayerRouting> measure_routing(Backend& backend, Model& model,
                                          std::span<const std::int32_t> ids);

}  // namespace r1
