#include "model/expert_memory.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"

namespace r1 {
namespace {

constexpr std::int64_t kLine = 64;

std::int64_t panel_bytes(const LinearWeight& linear) {
  R1_CHECK(linear.weight.stored.has_value(), "{} is not stored", linear.weight.name);
  const std::int64_t bytes =
      stored_panel_bytes(linear.weight.stored->type, linear.out_features(), linear.in_features());
  return (bytes + kLine - 1) / kLine * kLine;
}

template <typename Visit>
void for_matrices(ExpertWeight& expert, const Visit& visit) {
  for (LinearWeight* linear : {&expert.gate, &expert.up, &expert.down}) visit(*linear);
}

}  // namespace

ExpertMemory::ExpertMemory(std::int64_t slots, std::int64_t slot_bytes,
                           std::int64_t experts_per_layer, bool in_file)
    : slot_bytes_(slot_bytes) {
  if (slots < experts_per_layer) {
    throw Error(
        "memory",
        fmt::format("the budget leaves room for {} experts of {:.1f} MB, but a layer has {}",
                    std::max<std::int64_t>(slots, 0), static_cast<double>(slot_bytes) * 1e-6,
                    experts_per_layer),
        "allow more memory");
  }
  if (!in_file) {
    memory_ = AlignedBuffer<std::byte>(static_cast<std::size_t>(slots * slot_bytes), Fill::none);
  }
  slots_.resize(static_cast<std::size_t>(slots));
}

std::int64_t ExpertMemory::bytes_for(const ExpertWeight& expert) {
  return panel_bytes(expert.gate) + panel_bytes(expert.up) + panel_bytes(expert.down);
}

void ExpertMemory::require(Backend& backend, std::span<ExpertWeight> experts,
                           std::span<const std::int32_t> indices) {
  ++pass_;
  std::vector<ExpertWeight*> missing;
  std::vector<bool> seen(experts.size());
  for (const std::int32_t index : indices) {
    const auto i = static_cast<std::size_t>(index);
    if (seen[i]) continue;
    seen[i] = true;
    ++stats_.required;
    const auto slot = experts[i].slot;
    if (slot >= 0) {
      slots_[static_cast<std::size_t>(slot)].last_pass = pass_;
    } else {
      missing.push_back(&experts[i]);
    }
  }
  // All reads are under way before the first is waited for.
  for (ExpertWeight* expert : missing) {
    for_matrices(*expert, [](LinearWeight& linear) { will_read(linear.weight.stored->bytes); });
  }
  for (ExpertWeight* expert : missing) place(backend, *expert, free_slot());
  stats_.packed += static_cast<std::int64_t>(missing.size());
}

std::size_t ExpertMemory::free_slot() const {
  const auto oldest = std::ranges::min_element(slots_, {}, &Slot::last_pass);
  R1_CHECK(oldest->last_pass < pass_, "a pass needs more than {} experts", slots_.size());
  return static_cast<std::size_t>(oldest - slots_.begin());
}

void ExpertMemory::place(Backend& backend, ExpertWeight& expert, std::size_t slot) {
  Slot& place = slots_[slot];
  if (place.expert != nullptr) {
    place.expert->slot = -1;
    for_matrices(*place.expert, [](LinearWeight& linear) {
      if (linear.weight.stored->panels) have_read(linear.weight.stored->bytes);
    });
  }
  place = {&expert, pass_};
  expert.slot = static_cast<std::int64_t>(slot);
  std::span<std::byte> memory;
  if (!memory_.empty()) {
    memory = memory_.span(slot * static_cast<std::size_t>(slot_bytes_),
                          static_cast<std::size_t>(slot_bytes_));
  }
  for_matrices(expert, [&](LinearWeight& linear) {
    const StoredRows& rows = *linear.weight.stored;
    const std::int64_t out = linear.out_features(), in = linear.in_features();
    if (rows.panels) {
      view_stored(rows.type, rows.bytes, out, in, rows.product, linear.forward);
      return;
    }
    pack_stored(backend, rows.type, rows.bytes, out, in, rows.product, linear.forward, memory);
    memory = memory.subspan(static_cast<std::size_t>(panel_bytes(linear)));
    // Packed, it need not stay mapped as well.
    if (rows.mapped) have_read(rows.bytes);
  });
}

}  // namespace r1
