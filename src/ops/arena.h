#pragma once

#include <cstdint>
#include <vector>

#include "tensor/aligned_buffer.h"

namespace r1 {

// A stack of f32 memory for the activations of one forward pass and its backward. Grows by chunks,
// which are kept and, when everything is freed, joined into one: from the third pass of a size on,
// no pass of that size allocates.
class Arena {
 public:
  // 64-byte aligned, uninitialised, valid until a reset() to a mark before it.
  float* allocate(std::int64_t count);

  struct Mark {
    std::size_t chunk;
    std::int64_t used;
  };
  Mark mark() const { return mark_; }
  // Frees everything allocated since `mark`; the default mark frees all.
  void reset(Mark mark = {0, 0});

  // Frees everything allocated since `mark` except `data`, which lies among it or before it and is
  // moved to the mark. Returns its new place.
  float* keep(Mark mark, const float* data, std::int64_t count);

  // Bytes held, used or not. What was never written costs address space alone.
  std::int64_t bytes() const;

 private:
  std::vector<AlignedBuffer<float>> chunks_;
  Mark mark_{0, 0};
};

// Scratch memory: what is allocated during its lifetime is freed at its end.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.reset(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace r1
