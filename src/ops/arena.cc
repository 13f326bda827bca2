#include "ops/arena.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace r1 {
namespace {

constexpr std::int64_t kFloatsPerLine = static_cast<std::int64_t>(kCacheLine / sizeof(float));
// 32 MiB: a decode step fits in one chunk, a training step needs a handful before they are joined.
constexpr std::int64_t kSmallestChunk = std::int64_t{8} << 20;

}  // namespace

float* Arena::allocate(std::int64_t count) {
  R1_CHECK(count >= 0, "count {}", count);
  const std::int64_t rounded = (count + kFloatsPerLine - 1) / kFloatsPerLine * kFloatsPerLine;
  while (mark_.chunk < chunks_.size() &&
         static_cast<std::int64_t>(chunks_[mark_.chunk].size()) - mark_.used < rounded) {
    mark_ = {mark_.chunk + 1, 0};
  }
  if (mark_.chunk == chunks_.size()) {
    const std::int64_t held = bytes() / static_cast<std::int64_t>(sizeof(float));
    const std::int64_t size = std::max({rounded, kSmallestChunk, held / 2});
    chunks_.emplace_back(static_cast<std::size_t>(size), Fill::none);
  }
  float* memory = chunks_[mark_.chunk].data() + mark_.used;
  mark_.used += rounded;
  return memory;
}

void Arena::reset(Mark mark) {
  mark_ = mark;
  if (mark.chunk != 0 || mark.used != 0 || chunks_.size() < 2) return;
  std::size_t total = 0;
  for (const AlignedBuffer<float>& chunk : chunks_) total += chunk.size();
  chunks_.clear();
  chunks_.emplace_back(total, Fill::none);
}

float* Arena::keep(Mark mark, const float* data, std::int64_t count) {
  // Not reset(): joining the chunks would free the data. What held the data holds it again, so no
  // new chunk is made here unless the data came from elsewhere.
  mark_ = mark;
  float* kept = allocate(count);
  std::memmove(kept, data, static_cast<std::size_t>(count) * sizeof(float));
  return kept;
}

std::int64_t Arena::bytes() const {
  std::size_t total = 0;
  for (const AlignedBuffer<float>& chunk : chunks_) total += chunk.size();
  return static_cast<std::int64_t>(total * sizeof(float));
}

}  // namespace r1
