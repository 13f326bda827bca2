#pragma once

#include <cstdint>
#include <vector>

#include "ops/ops.h"
#include "tensor/aligned_buffer.h"

namespace r1 {

// The keys and values of every layer, in pages of kPageTokens positions. Which sequence owns which
// page is the caller's business (engine/page_pool.h).
class KvCache {
 public:
  // row_size: numbers per token and layer, stored as f32 in f32 precision, else as bf16 or in
  // blocks.
  KvCache(std::int64_t layers, std::int64_t row_size, Precision precision, std::int64_t pages,
          KvStorage storage = KvStorage::plain);

  KvLayer layer(std::int64_t index);
  // The first rows of a page become those of another, in all layers.
  void copy_rows(std::int32_t from, std::int32_t to, std::int64_t rows);
  std::int64_t pages() const { return pages_; }
  std::int64_t bytes() const;
  static std::int64_t bytes_per_page(std::int64_t layers, std::int64_t row_size,
                                     Precision precision, KvStorage storage = KvStorage::plain);

 private:
  std::int64_t row_size_, row_bytes_, pages_;
  KvStorage storage_;
  std::vector<AlignedBuffer<std::byte>> layers_;
};

// Rows of one forward pass: stretches of one or more sequences, one after another. Without a cache
// each span must begin its sequence (training); with one a span may continue what is cached.
struct Batch {
  std::vector<std::int32_t> ids;        // [T]
  std::vector<std::int32_t> positions;  // [T]
  std::vector<SequenceSpan> spans;
  KvCache* cache = nullptr;

  std::int64_t rows() const { return static_cast<std::int64_t>(ids.size()); }

  // No rows; the cache stays.
  void clear();
  // Appends tokens of a sequence at position `start`; `pages` must stay alive while the batch does.
  void append(std::span<const std::int32_t> tokens, std::int64_t start = 0,
              std::span<const std::int32_t> pages = {});
};

}  // namespace r1
