#include "model/expert_memory.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/error.h"
#include "base/file.h"

namespace r1 {
namespace {

constexpr std::int64_t kLine = 64;

std::int64_t panel_bytes(const LinearWeight& linear) {
  R1_CHECK(linear.weight.stored.has_value(), "{} is not stored", linear.weight.name);
  const std::int64_t bytes =
      linear.weight.stored->panel_bytes(linear.out_features(), linear.in_features());
  return (bytes + kLine - 1) / kLine * kLine;
}

template <typename Visit>
void for_matrices(ExpertWeight& expert, const Visit& visit) {
  for (LinearWeight* linear : {&expert.gate, &expert.up, &expert.down}) visit(*linear);
}

}  // namespace

ExpertMemory::ExpertMemory(std::int64_t slots, std::int64_t slot_bytes,
                           std::int64_t experts_per_layer, std::int64_t layers, bool in_file)
    : slot_bytes_(slot_bytes),
      experts_(experts_per_layer * layers),
      half_life_(kHalfLife * static_cast<double>(layers)) {
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
  std::size_t required = 0;
  for (const std::int32_t index : indices) {
    const auto i = static_cast<std::size_t>(index);
    if (seen[i]) continue;
    seen[i] = true;
    ++required;
    count_use(experts[i]);
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
  for (ExpertWeight* expert : missing) {
    if (std::ranges::find(expected_, expert) != expected_.end()) ++stats_.foreseen;
    place(backend, *expert, free_slot());
  }
  last_required_ = required;
  stats_.required += static_cast<std::int64_t>(required);
  stats_.packed += static_cast<std::int64_t>(missing.size());
}

void ExpertMemory::expect(std::span<const ExpertWeight> experts) {
  expected_.clear();
  if (holds_all()) return;
  std::vector<const ExpertWeight*> likely;
  for (const ExpertWeight& expert : experts) {
    if (needs_.contains(&expert)) likely.push_back(&expert);
  }
  const std::size_t count = std::min(last_required_, likely.size());
  std::ranges::partial_sort(likely, likely.begin() + static_cast<std::ptrdiff_t>(count),
                            std::greater{},
                            [&](const ExpertWeight* expert) { return need_of(*expert); });
  for (const ExpertWeight* expert : std::span(likely).first(count)) {
    if (expert->slot >= 0) continue;
    expected_.push_back(expert);
    for (const LinearWeight* linear : {&expert->gate, &expert->up, &expert->down}) {
      if (linear->weight.stored->mapped) will_read(linear->weight.stored->bytes);
    }
  }
  stats_.expected += static_cast<std::int64_t>(expected_.size());
}

// The logarithm of the sum of 2^(time of use / half-life) over an expert's uses.
double ExpertMemory::need_of(const ExpertWeight& expert) const {
  const auto found = needs_.find(&expert);
  return found == needs_.end() ? -std::numeric_limits<double>::infinity() : found->second;
}

void ExpertMemory::count_use(const ExpertWeight& expert) {
  const double now = static_cast<double>(pass_) / half_life_;
  needs_[&expert] = now + std::log2(1.0 + std::exp2(need_of(expert) - now));
}

std::size_t ExpertMemory::free_slot() const {
  std::size_t least = slots_.size();
  double least_need = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].expert == nullptr) return i;
    if (slots_[i].last_pass == pass_) continue;
    const double need = need_of(*slots_[i].expert);
    if (least < slots_.size() && need >= least_need) continue;
    least = i;
    least_need = need;
  }
  R1_CHECK(least < slots_.size(), "a pass needs more than {} experts", slots_.size());
  return least;
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
    rows.pack(backend, out, in, linear.forward, memory);
    if (rows.panels) return;
    memory = memory.subspan(static_cast<std::size_t>(panel_bytes(linear)));
    // Packed, it need not stay mapped as well.
    if (rows.mapped) have_read(rows.bytes);
  });
}

}  // namespace r1
