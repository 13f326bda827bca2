#include "tensor/aligned_buffer.h"

#include <sys/mman.h>

#include <cstdlib>

#include "tensor/allocated_bytes.h"

namespace r1 {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kHugeFrom = 2 * kHugePage;
constexpr std::size_t kAddressSpace = std::size_t{1} << 47;

std::size_t alignment_of(std::size_t bytes) { return bytes >= kHugeFrom ? kHugePage : kCacheLine; }

}  // namespace

std::size_t allocated_bytes(std::size_t bytes) {
  const std::size_t alignment = alignment_of(bytes);
  return (bytes + alignment - 1) / alignment * alignment;
}

void* allocate_aligned(std::size_t count, std::size_t element_size) {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, element_size, &bytes) || bytes > kAddressSpace) {
    throw Error(
        "memory",
        fmt::format("{} elements of {} bytes exceed the address space", count, element_size),
        "choose smaller sizes");
  }
  if (bytes == 0) return nullptr;
  const std::size_t rounded = allocated_bytes(bytes);
  void* memory = std::aligned_alloc(alignment_of(bytes), rounded);
  if (memory == nullptr) {
    throw Error("memory", fmt::format("cannot allocate {} bytes", bytes),
                "free memory or choose smaller sizes");
  }
  // Advice only: where huge pages are off, ordinary ones serve.
  if (bytes >= kHugeFrom) (void)::madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

void free_aligned(void* memory) noexcept { std::free(memory); }

}  // namespace r1
