#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include "base/error.h"

namespace r1 {

inline constexpr std::size_t kCacheLine = 64;

// `count` elements of `element_size` bytes, aligned to 64 bytes; from 4 MiB on aligned to 2 MiB and
// offered to the kernel as huge pages. Throws Error naming the bytes asked for when the product
// overflows or memory is short. Null for zero bytes. The contents are undefined.
void* allocate_aligned(std::size_t count, std::size_t element_size);
void free_aligned(void* memory) noexcept;

enum class Fill { none, zero };

// An owned array of plain values, aligned for vector and tile loads. Movable, not copyable: a copy
// of weights should be seen in the code, so it is spelled clone().
template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size, Fill fill = Fill::zero)
      : data_(static_cast<T*>(allocate_aligned(size, sizeof(T)))), size_(size) {
    if (fill == Fill::zero) std::fill_n(data_, size_, T{});
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    if (this != &other) {
      free_aligned(data_);
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  ~AlignedBuffer() { free_aligned(data_); }

  AlignedBuffer clone() const {
    AlignedBuffer copy(size_, Fill::none);
    std::copy_n(data_, size_, copy.data_);
    return copy;
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }

  // As unchecked as std::vector's.
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

  std::span<T> span() { return {data_, size_}; }
  std::span<const T> span() const { return {data_, size_}; }

  // Elements [offset, offset + count); outside the buffer is a programmer error.
  std::span<T> span(std::size_t offset, std::size_t count) {
    check_range(offset, count);
    return {data_ + offset, count};
  }
  std::span<const T> span(std::size_t offset, std::size_t count) const {
    check_range(offset, count);
    return {data_ + offset, count};
  }

 private:
  void check_range(std::size_t offset, std::size_t count) const {
    R1_CHECK(offset <= size_ && count <= size_ - offset, "offset {} count {} size {}", offset,
             count, size_);
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace r1
