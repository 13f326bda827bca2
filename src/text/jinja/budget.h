#pragma once

#include <cstddef>
#include <stdexcept>

namespace r1::text::jinja {

// Why a rendering cannot go on, in words. ChatTemplate adds the place and makes an Error of it.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A template comes with a downloaded model and is trusted with nothing: what one may cost.
inline constexpr std::size_t kMaxSource = std::size_t{1} << 20;  // bytes of a template
inline constexpr std::size_t kMaxNesting = 64;        // tags and brackets in tags and brackets
inline constexpr std::size_t kMaxHeight = 200;        // of an expression's tree
inline constexpr std::size_t kMaxDepth = 400;         // evaluations within evaluations
inline constexpr std::size_t kMaxValueDepth = 100;    // lists within lists
inline constexpr std::size_t kMaxSteps = 10'000'000;  // see Budget::work
inline constexpr std::size_t kMaxBytes = std::size_t{256} << 20;  // see Budget::make

// Counts down what one rendering may still do. Both throw Failure when nothing is left.
class Budget {
 public:
  // Time: a step is a node evaluated or an element visited; bytes read count as one per 64.
  void work(std::size_t steps = 1) {
    if (steps > steps_left_) give_up_time();
    steps_left_ -= steps;
  }
  void read(std::size_t bytes) { work(1 + bytes / 64); }

  // Memory: called before text or lists of so many bytes are made, and never given back.
  void make(std::size_t bytes) {
    if (bytes > bytes_left_) give_up_memory();
    bytes_left_ -= bytes;
    read(bytes);
  }
  // The same for `count` things of `size` bytes, whose product may not fit.
  void make(std::size_t count, std::size_t size) {
    if (size != 0 && count > bytes_left_ / size) give_up_memory();
    make(count * size);
  }

  // How many evaluations are under way within each other, for DepthGuard.
  std::size_t& depth() { return depth_; }

 private:
  [[noreturn]] static void give_up_time();
  [[noreturn]] static void give_up_memory();

  std::size_t steps_left_ = kMaxSteps;
  std::size_t bytes_left_ = kMaxBytes;
  std::size_t depth_ = 0;
};

// One level of recursion for as long as it lives.
class DepthGuard {
 public:
  // Throws Failure above `limit`.
  DepthGuard(std::size_t& depth, std::size_t limit);
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;
  ~DepthGuard() { --depth_; }

 private:
  std::size_t& depth_;
};

}  // namespace r1::text::jinja
