#pragma once

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/error.h"

// For tests of which memory a kernel touches: whole tiles and masked lanes are loads that no
// sanitizer looks into, so arrays lie between pages that fault.
namespace r1::guarded_test {

enum class Edge { begin, end };

// `size` values drawn by draw(), the first or the last of them right beside a page that may not be
// touched.
template <typename T>
class GuardedArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  template <typename Draw>
  GuardedArray(std::int64_t size, Edge edge, const Draw& draw) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
    const std::size_t inside = (bytes + page - 1) / page * page;
    mapped_ = inside + 2 * page;
    void* memory = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    R1_CHECK(memory != MAP_FAILED, "{} bytes", mapped_);
    memory_ = static_cast<std::byte*>(memory);
    std::byte* const first = memory_ + page;
    R1_CHECK(inside == 0 || mprotect(first, inside, PROT_READ | PROT_WRITE) == 0, "{}", inside);
    data_ = reinterpret_cast<T*>(edge == Edge::begin ? first : first + inside - bytes);
    std::generate_n(data_, size, draw);
  }
  GuardedArray(std::int64_t size, Edge edge) : GuardedArray(size, edge, [] { return T{}; }) {}
  ~GuardedArray() { munmap(memory_, mapped_); }
  GuardedArray(const GuardedArray&) = delete;
  GuardedArray& operator=(const GuardedArray&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }

 private:
  std::byte* memory_;
  std::size_t mapped_;
  T* data_;
};

// Runs `call`; false if it touched a guard, where it is left at once.
template <typename Call>
bool stays_inside(const Call& call) {
  static sigjmp_buf before;
  struct sigaction action {
  }, previous{};
  action.sa_handler = [](int) { siglongjmp(before, 1); };
  sigaction(SIGSEGV, &action, &previous);
  volatile bool inside = false;
  if (sigsetjmp(before, 1) == 0) {
    call();
    inside = true;
  }
  sigaction(SIGSEGV, &previous, nullptr);
  return inside;
}

}  // namespace r1::guarded_test
