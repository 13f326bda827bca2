#include "train/packing.h"

#include <algorithm>

#include "base/error.h"

namespace r1::train {

std::vector<std::int32_t> PackedBatch::labels(std::int64_t places) const {
  std::vector<std::int32_t> labels(batch.ids.size(), kIgnoredLabel);
  for (const SequenceSpan& span : batch.spans) {
    for (std::int64_t row = span.first_row + places; row < span.first_row + span.rows; ++row) {
      const auto target = static_cast<std::size_t>(row);
      if (learned[target]) labels[static_cast<std::size_t>(row - places)] = batch.ids[target];
    }
  }
  return labels;
}

std::int64_t PackedBatch::label_count(std::int64_t places) const {
  return std::ranges::count_if(labels(places),
                               [](std::int32_t label) { return label != kIgnoredLabel; });
}

PackedBatch pack(std::span<const Sequence> sequences, std::span<const std::vector<bool>> learned) {
  R1_CHECK(learned.empty() || learned.size() == sequences.size(), "{} masks of {} sequences",
           learned.size(), sequences.size());
  PackedBatch packed;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    packed.batch.append(sequences[s]);
    if (learned.empty()) continue;
    R1_CHECK(learned[s].size() == sequences[s].size(), "a mask of {} for {} tokens",
             learned[s].size(), sequences[s].size());
    packed.learned.insert(packed.learned.end(), learned[s].begin(), learned[s].end());
  }
  if (learned.empty()) packed.learned.assign(packed.batch.ids.size(), true);
  return packed;
}

std::vector<std::size_t> cut_by_tokens(std::span<const std::int64_t> lengths,
                                       std::int64_t max_tokens) {
  std::vector<std::size_t> ends;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (tokens > 0 && tokens + lengths[i] > max_tokens) {
      ends.push_back(i);
      tokens = 0;
    }
    tokens += lengths[i];
  }
  if (!lengths.empty()) ends.push_back(lengths.size());
  return ends;
}

std::vector<std::int64_t> lengths_of(std::span<const Sequence> sequences) {
  std::vector<std::int64_t> lengths;
  for (const Sequence& sequence : sequences) lengths.push_back(std::ssize(sequence));
  return lengths;
}

}  // namespace r1::train
