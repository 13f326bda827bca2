#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"
#include "ops/ops.h"
#include "tensor/aligned_buffer.h"

namespace r1 {

// Memory for the panels of routed experts: slots that each hold one expert. With a slot for every
// expert all of them stay; with fewer, an expert that a pass needs is packed from the mapped file
// into the slot of the one that was needed least of late: uses count half as much after each
// kHalfLife tokens. Panels that lie in the file are read there: a slot is then the right to have an
// expert's pages in the process, and they leave it with the slot. Results do not depend on it.
class ExpertMemory {
 public:
  // With `in_file`, for experts whose panels all lie in a mapped file. Throws Error when there are
  // fewer slots than experts in a layer: a pass may need them all.
  ExpertMemory(std::int64_t slots, std::int64_t slot_bytes, std::int64_t experts_per_layer,
               std::int64_t layers, bool in_file);

  // Bytes that one expert's panels take, from its stored rows.
  static std::int64_t bytes_for(const ExpertWeight& expert);

  // The experts with these indices (repeats allowed) are packed when this returns, until the next
  // call. Their weights are stored rows (ops/weight.h).
  void require(Backend& backend, std::span<ExpertWeight> experts,
               std::span<const std::int32_t> indices);
  // These experts, of another layer, are the next to be required: those among them that were needed
  // most of late, as many as the last call required, are read ahead where they are in the file
  // only.
  void expect(std::span<const ExpertWeight> experts);

  std::int64_t slots() const { return static_cast<std::int64_t>(slots_.size()); }
  std::int64_t bytes() const { return slots() * slot_bytes_; }
  bool holds_all() const { return slots() >= experts_; }

  struct Stats {
    std::int64_t required = 0, packed = 0;    // experts of passes, and those that had to be read
    std::int64_t expected = 0, foreseen = 0;  // those read ahead, and how many of them were packed
  };
  const Stats& stats() const { return stats_; }

 private:
  static constexpr double kHalfLife = 32;  // tokens

  struct Slot {
    ExpertWeight* expert = nullptr;
    std::uint64_t last_pass = 0;
  };
  // How much an expert was needed: larger for more, and for later, uses. Two experts compare the
  // same at all times.
  double need_of(const ExpertWeight& expert) const;
  void count_use(const ExpertWeight& expert);
  std::size_t free_slot() const;
  void place(Backend& backend, ExpertWeight& expert, std::size_t slot);

  std::int64_t slot_bytes_;
  std::int64_t experts_;             // of all layers
  double half_life_;                 // in calls of require()
  AlignedBuffer<std::byte> memory_;  // empty where panels are read in the file
  std::vector<Slot> slots_;
  std::unordered_map<const ExpertWeight*, double> needs_;
  std::vector<const ExpertWeight*> expected_;
  std::size_t last_required_ = 0;
  std::uint64_t pass_ = 0;
  Stats stats_;
};

}  // namespace r1
