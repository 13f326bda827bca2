#include "text/bpe.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "base/error.h"

namespace r1::text {
namespace {

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
         static_cast<std::uint32_t>(right);
}

}  // namespace

Bpe::Bpe(const std::array<std::int32_t, 256>& byte_ids, std::vector<BpeMerge> merges)
    : byte_ids_(byte_ids), merges_(std::move(merges)) {
  ranks_.reserve(merges_.size());
  for (std::size_t rank = 0; rank < merges_.size(); ++rank) {
    const BpeMerge& merge = merges_[rank];
    const bool fresh =
        ranks_.emplace(pair_key(merge.left, merge.right), static_cast<std::uint32_t>(rank)).second;
    R1_CHECK(fresh, "merge {} repeats the pair ({}, {})", rank, merge.left, merge.right);
  }
}

std::optional<std::uint32_t> Bpe::rank_of(std::int32_t left, std::int32_t right) const {
  const auto found = ranks_.find(pair_key(left, right));
  if (found == ranks_.end()) return {};
  return found->second;
}

void Bpe::enqueue(Scratch& scratch, std::int32_t left) const {
  if (left < 0) return;
  const Scratch::Symbol& symbol = scratch.symbols[static_cast<std::size_t>(left)];
  if (symbol.next < 0) return;
  const Scratch::Symbol& next = scratch.symbols[static_cast<std::size_t>(symbol.next)];
  if (const auto rank = rank_of(symbol.id, next.id)) {
    scratch.queue.push_back(static_cast<std::uint64_t>(*rank) << 32 |
                            static_cast<std::uint32_t>(left));
    std::push_heap(scratch.queue.begin(), scratch.queue.end(), std::greater<>());
  }
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& ids) const {
  R1_CHECK(piece.size() <= std::numeric_limits<std::int32_t>::max(), "a piece of {} bytes",
           piece.size());
  auto& symbols = scratch.symbols;
  auto& queue = scratch.queue;
  symbols.clear();
  queue.clear();
  const auto count = static_cast<std::int32_t>(piece.size());
  for (std::int32_t i = 0; i < count; ++i) {
    const auto byte = static_cast<unsigned char>(piece[static_cast<std::size_t>(i)]);
    symbols.push_back({byte_ids_[byte], i - 1, i + 1 < count ? i + 1 : -1});
  }
  for (std::int32_t i = 0; i < count; ++i) enqueue(scratch, i);

  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const std::uint64_t entry = queue.back();
    queue.pop_back();
    const BpeMerge& merge = merges_[entry >> 32];
    const auto left = static_cast<std::int32_t>(entry & 0xFFFFFFFFu);
    Scratch::Symbol& symbol = symbols[static_cast<std::size_t>(left)];
    // The entry is stale if either neighbour has been merged since it was made.
    if (symbol.id != merge.left || symbol.next < 0) continue;
    Scratch::Symbol& right = symbols[static_cast<std::size_t>(symbol.next)];
    if (right.id != merge.right) continue;
    symbol.id = merge.result;
    symbol.next = right.next;
    right.id = -1;
    if (symbol.next >= 0) symbols[static_cast<std::size_t>(symbol.next)].previous = left;
    enqueue(scratch, symbol.previous);
    enqueue(scratch, left);
  }
  for (std::int32_t i = count > 0 ? 0 : -1; i >= 0; i = symbols[static_cast<std::size_t>(i)].next) {
    const std::int32_t id = symbols[static_cast<std::size_t>(i)].id;
    if (id >= 0) ids.push_back(id);
  }
}

}  // namespace r1::text
