#include "model/batch.h"

#include <cstring>

namespace r1 {

KvCache::KvCache(std::int64_t layers, std::int64_t row_size, Precision precision,
                 std::int64_t pages, KvStorage storage)
    : row_size_(row_size),
      row_bytes_(bytes_per_page(1, row_size, precision, storage) / kPageTokens),
      pages_(pages),
      storage_(storage) {
  const std::int64_t bytes = row_bytes_ * kPageTokens * pages;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    layers_.emplace_back(static_cast<std::size_t>(bytes), Fill::none);
  }
}

KvLayer KvCache::layer(std::int64_t index) {
  return {layers_[static_cast<std::size_t>(index)].data(), row_size_, storage_};
}

void KvCache::copy_rows(std::int32_t from, std::int32_t to, std::int64_t rows) {
  const std::int64_t page_bytes = row_bytes_ * kPageTokens;
  for (AlignedBuffer<std::byte>& layer : layers_) {
    std::memcpy(layer.data() + to * page_bytes, layer.data() + from * page_bytes,
                static_cast<std::size_t>(rows * row_bytes_));
  }
}

std::int64_t KvCache::bytes() const {
  std::int64_t total = 0;
  for (const AlignedBuffer<std::byte>& layer : layers_) {
    total += static_cast<std::int64_t>(layer.size());
  }
  return total;
}

std::int64_t KvCache::bytes_per_page(std::int64_t layers, std::int64_t row_size,
                                     Precision precision, KvStorage storage) {
  if (storage == KvStorage::q8_0) {
    const GgmlBlockSize block = block_size(GgmlType::q8_0);
    return layers * kPageTokens * row_size / static_cast<std::int64_t>(block.values) *
           static_cast<std::int64_t>(block.bytes);
  }
  return layers * kPageTokens * row_size * (precision == Precision::f32 ? 4 : 2);
}

void Batch::clear() {
  ids.clear();
  positions.clear();
  spans.clear();
}

void Batch::append(std::span<const std::int32_t> tokens, std::int64_t start,
                   std::span<const std::int32_t> pages) {
  const std::int64_t count = static_cast<std::int64_t>(tokens.size());
  spans.push_back({rows(), count, start, pages});
  ids.insert(ids.end(), tokens.begin(), tokens.end());
  for (std::int64_t i = 0; i < count; ++i) {
    positions.push_back(static_cast<std::int32_t>(start + i));
  }
}

}  // namespace r1
