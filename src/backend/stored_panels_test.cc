#include "backend/stored_panels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "backend/matmul.h"
#include "base/rng.h"

namespace r1 {
namespace {

constexpr GgmlType kKept[] = {GgmlType::bf16, GgmlType::q8_0, GgmlType::q4_0,
                              GgmlType::q4_k, GgmlType::q5_k, GgmlType::q6_k};

// Any bits, also those of no number.
std::vector<std::byte> random_bytes(std::size_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.below(256));
  return bytes;
}

std::size_t row_bytes(GgmlType type, std::int64_t k) {
  return static_cast<std::size_t>(k) / block_size(type).values * block_size(type).bytes;
}

TEST(StoredPanels, RowsComeOutAsTheyWentIn) {
  for (const Isa isa : {Isa::scalar, choose_isa()}) {
    Backend backend(2, isa);
    for (const GgmlType type : kKept) {
      const auto block = static_cast<std::int64_t>(block_size(type).values);
      for (const std::int64_t n : {1, 15, 16, 17, 33, 96}) {
        for (const std::int64_t blocks : {1, 2, 3, 7, 33}) {
          const std::int64_t k = blocks * block;
          const std::size_t size = row_bytes(type, k);
          const auto rows = random_bytes(static_cast<std::size_t>(n) * size, 7);
          PackedMatrix packed;
          pack_stored(backend, type, rows, n, k, QuantizedProduct::int8, packed);
          ASSERT_EQ(packed.bytes(), stored_panel_bytes(type, n, k));
          const std::span panels(packed.quantized(), static_cast<std::size_t>(packed.bytes()));
          std::vector<std::byte> found(rows.size());
          unpack_stored(type, panels, n, k, 0, n, found);
          ASSERT_EQ(found, rows) << name_of(type) << ' ' << n << ' ' << k;
          // One row alone.
          std::vector<std::byte> last(size);
          unpack_stored(type, panels, n, k, n - 1, 1, last);
          EXPECT_TRUE(std::equal(last.begin(), last.end(), rows.end() - std::ssize(last)));
        }
      }
    }
  }
}

// Not at an even address of pairs either, as in a file whose tensors are not aligned.
TEST(StoredPanels, RowsMayLieAnywhere) {
  Backend backend(1);
  const std::int64_t n = 20, k = 66;
  const auto bytes = random_bytes(2 + static_cast<std::size_t>(n * k) * 2, 8);
  const auto rows = std::span(bytes).subspan(2);
  PackedMatrix packed;
  pack_stored(backend, GgmlType::bf16, rows, n, k, QuantizedProduct::bf16, packed);
  std::vector<std::byte> found(rows.size());
  unpack_stored(GgmlType::bf16, {packed.quantized(), static_cast<std::size_t>(packed.bytes())}, n,
                k, 0, n, found);
  EXPECT_TRUE(std::ranges::equal(found, rows));
}

TEST(StoredPanels, ExtentsFromOutsideAreChecked) {
  for (const GgmlType type : kKept) {
    const auto block = static_cast<std::int64_t>(block_size(type).values);
    EXPECT_EQ(checked_panel_bytes(type, 33, 3 * block), stored_panel_bytes(type, 33, 3 * block));
    EXPECT_FALSE(checked_panel_bytes(type, 0, block));
    EXPECT_FALSE(checked_panel_bytes(type, -1, block));
    EXPECT_FALSE(checked_panel_bytes(type, 1, 0));
    EXPECT_FALSE(checked_panel_bytes(type, std::numeric_limits<std::int64_t>::max(), block));
    EXPECT_FALSE(checked_panel_bytes(type, std::int64_t{1} << 40, block << 40));
    if (block > 1) {
      EXPECT_FALSE(checked_panel_bytes(type, 16, block + 1));
    }
  }
}

}  // namespace
}  // namespace r1
