#include "tensor/aligned_buffer.h"

#include <sys/mman.h>

#include <cstdlib>

namespace r1 {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kHugeFrom = 2 * kHugePage;
constexpr std::size_t kAddressSpace = std::size_t{1} << 47;

}  // namespace

void* allocate_aligned(std::size_t count, std::size_t element_size) {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, element_size, &bytes) || bytes > kAddressSpace) {
    throw Error(
        "memory",
        fmt::format("{} elements of {} bytes exceed the address space", count, element_size),
        "choose smaller sizes");
  }
  if (bytes == 0) return nullptr;
  const bool huge = bytes >= kHugeFrom;
  const std::size_t alignment = huge ? kHugePage : kCacheLine;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) {
    throw Error("memory", fmt::format("cannot allocate {} bytes", bytes),
                "free memory or choose smaller sizes");
  }
  // Advice only: where huge pages are off, ordinary ones serve.
  if (huge) (void)::madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

void free_aligned(void* memory) noexcept { std::free(memory); }

}  // namespace r1
