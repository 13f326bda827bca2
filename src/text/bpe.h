#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace r1::text {

// A learned merge: the neighbours (left, right) become `result`. Its rank is its place in the list.
struct BpeMerge {
  std::int32_t left = 0;
  std::int32_t right = 0;
  std::int32_t result = 0;
};

// Byte-pair encoding of one piece of text (Sennrich et al., "Neural machine translation of rare
// words with subword units", 2016): start from bytes, repeatedly merge the neighbours whose merge
// has the lowest rank, the leftmost first. O(n log n) in the piece.
class Bpe {
 public:
  // byte_ids: the token of each byte; -1 drops the byte. Every merge must be of a different pair.
  Bpe(const std::array<std::int32_t, 256>& byte_ids, std::vector<BpeMerge> merges);

  // Working memory, reused from piece to piece; one per thread.
  struct Scratch {
    struct Symbol {
      std::int32_t id;  // -1 for a byte without a token, and once merged into the left neighbour
      std::int32_t previous, next;
    };
    std::vector<Symbol> symbols;
    std::vector<std::uint64_t> queue;  // min-heap of rank << 32 | position of the left symbol
  };

  // Appends the tokens of `piece` (at most 2^31 - 1 bytes) to `ids`.
  void encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& ids) const;

  const std::vector<BpeMerge>& merges() const { return merges_; }

 private:
  std::optional<std::uint32_t> rank_of(std::int32_t left, std::int32_t right) const;
  void enqueue(Scratch& scratch, std::int32_t left) const;

  std::array<std::int32_t, 256> byte_ids_;
  std::vector<BpeMerge> merges_;
  std::unordered_map<std::uint64_t, std::uint32_t> ranks_;  // left << 32 | right
};

}  // namespace r1::text
