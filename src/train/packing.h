#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/batch.h"

namespace r1::train {

using Sequence = std::vector<std::int32_t>;

// Sequences one behind another in one forward pass. Each is a span of its own: no token sees
// another sequence, positions begin at 0, and there is no padding.
struct PackedBatch {
  Batch batch;
  std::vector<bool> learned;  // [T] whether a row's own token is to be predicted, not only read
  // The ids so many places further in the row's own sequence; kIgnoredLabel past its end and where
  // that id is not learned.
  std::vector<std::int32_t> labels(std::int64_t places) const;
  // Labels in use at that distance.
  std::int64_t label_count(std::int64_t places) const;
};
// learned: which tokens of each sequence are; none where all are.
PackedBatch pack(std::span<const Sequence> sequences,
                 std::span<const std::vector<bool>> learned = {});

// Cuts sequences of these lengths, in order, into groups of at most max_tokens (a longer one stands
// alone). Element i is the index behind the last sequence of group i.
std::vector<std::size_t> cut_by_tokens(std::span<const std::int64_t> lengths,
                                       std::int64_t max_tokens);
std::vector<std::int64_t> lengths_of(std::span<const Sequence> sequences);

}  // namespace r1::train
