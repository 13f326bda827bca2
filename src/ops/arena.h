#pragma once

#include <cstdint>
#include <vector>

#include "tensor/aligned_buffer.h"

namespace r1 {

// A stack of f32 memory for the activations of one forward pass. Grows by chunks, which are kept:
// after the first pass of a size, no pass of that size allocates.
class Arena {
 public:
  // 64-byte aligned, uninitialised, valid until a reset() to a mark before it.
  float* allocate(std::int64_t count);

  struct Mark {
    std::size_t chunk = 0;
    std::int64_t used = 0;
  };
  Mark mark() const { return mark_; }
  // Frees everything allocated since `mark`; the default mark frees all.
  void reset(Mark mark = {}) { mark_ = mark; }

  // Bytes held, used or not: what the process pays.
  std::int64_t bytes() const;

 private:
  std::vector<AlignedBuffer<float>> chunks_;
  Mark mark_;
};

}  // namespace r1
