#include "train/packing.h"

#include <algorithm>

#include "base/error.h"

namespace r1::train {

std::vector<std::int32_t> PackedBatch::labels(std::int64_t places) const {
  std::vector<std::int32_t> labels(batch.ids.size(), kIgnoredLabel);
  for (std::size_t s = 0; s < batch.spans.size(); ++s) {
    const SequenceSpan& span = batch.spans[s];
    for (std::int64_t target = std::max(places, prompt_tokens[s]); target < span.rows; ++target) {
      labels[static_cast<std::size_t>(span.first_row + target - places)] =
          batch.ids[static_cast<std::size_t>(span.first_row + target)];
    }
  }
  return labels;
}

std::int64_t PackedBatch::label_count(std::int64_t places) const {
  std::int64_t count = 0;
  for (std::size_t s = 0; s < batch.spans.size(); ++s) {
    count += std::max<std::int64_t>(0, batch.spans[s].rows - std::max(places, prompt_tokens[s]));
  }
  return count;
}

PackedBatch pack(std::span<const Sequence> sequences, std::span<const std::int64_t> prompt_tokens) {
  R1_CHECK(prompt_tokens.empty() || prompt_tokens.size() == sequences.size(),
           "{} prompts of {} sequences", prompt_tokens.size(), sequences.size());
  PackedBatch packed;
  for (const Sequence& sequence : sequences) packed.batch.append(sequence);
  packed.prompt_tokens.assign(prompt_tokens.begin(), prompt_tokens.end());
  packed.prompt_tokens.resize(sequences.size());
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
