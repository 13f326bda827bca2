#include "text/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <set>
#include <string>

#include "base/rng.h"

namespace r1::text {
namespace {

std::array<std::int32_t, 256> plain_bytes() {
  std::array<std::int32_t, 256> ids{};
  for (std::size_t byte = 0; byte < ids.size(); ++byte) ids[byte] = static_cast<std::int32_t>(byte);
  return ids;
}

std::vector<std::int32_t> encode(const Bpe& bpe, std::string_view piece) {
  Bpe::Scratch scratch;
  std::vector<std::int32_t> ids;
  bpe.encode(piece, scratch, ids);
  return ids;
}

// The definition: again and again the best pair of all, found by looking at every pair.
std::vector<std::int32_t> encode_naively(const Bpe& bpe, std::string_view piece) {
  std::vector<std::int32_t> ids;
  for (const char c : piece) ids.push_back(static_cast<unsigned char>(c));
  while (true) {
    std::size_t best_rank = bpe.merges().size();
    std::size_t best_at = 0;
    for (std::size_t at = 0; at + 1 < ids.size(); ++at) {
      for (std::size_t rank = 0; rank < best_rank; ++rank) {
        const BpeMerge& merge = bpe.merges()[rank];
        if (merge.left == ids[at] && merge.right == ids[at + 1]) {
          best_rank = rank;
          best_at = at;
        }
      }
    }
    if (best_rank == bpe.merges().size()) return ids;
    ids[best_at] = bpe.merges()[best_rank].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

TEST(Bpe, EqualsTheDefinitionOnRandomMerges) {
  Rng rng(1);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<BpeMerge> merges;
    std::vector<std::int32_t> symbols = {'a', 'b', 'c'};
    std::set<std::pair<std::int32_t, std::int32_t>> seen;
    for (std::int32_t i = 0; i < 20; ++i) {
      const auto left = symbols[rng.below(static_cast<std::uint32_t>(symbols.size()))];
      const auto right = symbols[rng.below(static_cast<std::uint32_t>(symbols.size()))];
      if (!seen.emplace(left, right).second) continue;
      merges.push_back({left, right, 256 + i});
      symbols.push_back(256 + i);
    }
    rng.shuffle(merges);
    const Bpe bpe(plain_bytes(), merges);
    std::string piece;
    for (std::uint32_t i = rng.below(60); i > 0; --i)
      piece += static_cast<char>('a' + rng.below(3));
    ASSERT_EQ(encode(bpe, piece), encode_naively(bpe, piece)) << piece;
  }
}

TEST(Bpe, AMegabyteOfOneLetterTakesNoQuadraticTime) {
  std::vector<BpeMerge> merges;
  std::int32_t last = 'a';
  for (std::int32_t id = 256; id < 264; ++id) {
    merges.push_back({last, last, id});
    last = id;
  }
  const Bpe bpe(plain_bytes(), merges);
  // A quadratic loop takes hours of the processor.
  const std::clock_t start = std::clock();
  const auto ids = encode(bpe, std::string(1 << 20, 'a'));
  EXPECT_EQ(ids, std::vector<std::int32_t>(1 << 12, last));
  EXPECT_LT(std::clock() - start, 20 * CLOCKS_PER_SEC);
}

TEST(Bpe, EmptyPiece) { EXPECT_TRUE(encode(Bpe(plain_bytes(), {}), "").empty()); }

}  // namespace
}  // namespace r1::text
