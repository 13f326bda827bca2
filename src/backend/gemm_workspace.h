#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tensor/aligned_buffer.h"

namespace r1 {

// Memory that matrix products reuse from call to call; owned by Backend, grows to what the largest
// product needed. Nothing in it outlives a call.
struct GemmWorkspace {
  AlignedBuffer<std::byte> shared;                   // factors that several units read
  std::vector<AlignedBuffer<std::byte>> per_worker;  // factors of the unit a worker is at
  std::vector<AlignedBuffer<std::byte>> decoded;     // weights that a worker is decoding
};

// At least `count` elements of T in `buffer`; the contents are undefined.
template <class T>
T* reserve(AlignedBuffer<std::byte>& buffer, std::int64_t count) {
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
  if (buffer.size() < bytes) {
    buffer = {};  // before the larger one is asked for, so that both are never held
    buffer = AlignedBuffer<std::byte>(bytes, Fill::none);
  }
  return reinterpret_cast<T*>(buffer.data());
}

}  // namespace r1
