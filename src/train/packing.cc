#include "train/packing.h"

namespace r1::train {

std::vector<std::int32_t> PackedBatch::labels(std::int64_t places) const {
  std::vector<std::int32_t> labels(batch.ids.size(), kIgnoredLabel);
  for (const SequenceSpan& span : batch.spans) {
    for (std::int64_t i = 0; i + places < span.rows; ++i) {
      labels[static_cast<std::size_t>(span.first_row + i)] =
          batch.ids[static_cast<std::size_t>(span.first_row + i + places)];
    }
  }
  return labels;
}

std::int64_t PackedBatch::label_count(std::int64_t places) const {
  std::int64_t count = 0;
  for (const SequenceSpan& span : batch.spans) {
    count += span.rows > places ? span.rows - places : 0;
  }
  return count;
}

PackedBatch pack(std::span<const Sequence> sequences) {
  PackedBatch packed;
  for (const Sequence& sequence : sequences) packed.batch.append(sequence);
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
