#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "ops/ops.h"
#include "tensor/aligned_buffer.h"

namespace r1 {

// Memory for the panels of routed experts: slots that each hold one expert. With a slot for every
// expert all of them stay; with fewer, an expert that a pass needs is packed from the mapped file
// into the slot of the one that has not been needed for longest. Panels that lie in the file are
// read there: a slot is then the right to have an expert's pages in the process, and they leave it
// with the slot. Results do not depend on it.
class ExpertMemory {
 public:
  // With `in_file`, for experts whose panels all lie in a mapped file. Throws Error when there are
  // fewer slots than experts in a layer: a pass may need them all.
  ExpertMemory(std::int64_t slots, std::int64_t slot_bytes, std::int64_t experts_per_layer,
               bool in_file);

  // Bytes that one expert's panels take, from its stored rows.
  static std::int64_t bytes_for(const ExpertWeight& expert);

  // The experts with these indices (repeats allowed) are packed when this returns, until the next
  // call. Their weights are stored rows (ops/weight.h).
  void require(Backend& backend, std::span<ExpertWeight> experts,
               std::span<const std::int32_t> indices);

  std::int64_t slots() const { return static_cast<std::int64_t>(slots_.size()); }
  std::int64_t bytes() const { return slots() * slot_bytes_; }

  struct Stats {
    std::int64_t required = 0, packed = 0;  // experts of passes, and those that had to be read
  };
  const Stats& stats() const { return stats_; }

 private:
  struct Slot {
    ExpertWeight* expert = nullptr;
    std::uint64_t last_pass = 0;
  };
  std::size_t free_slot() const;
  void place(Backend& backend, ExpertWeight& expert, std::size_t slot);

  std::int64_t slot_bytes_;
  AlignedBuffer<std::byte> memory_;  // empty where panels are read in the file
  std::vector<Slot> slots_;
  std::uint64_t pass_ = 0;
  Stats stats_;
};

}  // namespace r1
