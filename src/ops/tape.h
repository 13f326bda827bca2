#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <source_location>
#include <vector>

#include "backend/work_observer.h"
#include "ops/arena.h"
#include "ops/tensor.h"

namespace r1 {

// Reverse-mode differentiation: ops record what undoes them; backward() runs the records in
// reverse. The one accumulation rule: every backward adds to the gradients of its inputs, which
// begin at zero, and to the gradients of its weights, which the optimiser clears.
class Tape {
 public:
  static constexpr int kNoNode = -1;
  using Backward = std::function<void()>;

  // Where a backward leaves its share of a gradient. Without `accumulate` nothing was added before:
  // the memory is uninitialised and must be written whole. Null data: no gradient is wanted.
  struct Slot {
    float* data = nullptr;
    bool accumulate = false;
  };

  // The observer, if any, is told of each backward by the op that recorded it.
  explicit Tape(Arena& arena, WorkObserver* observer = nullptr)
      : arena_(arena), observer_(observer) {}

  // A new node for `tensor`; its gradient is allocated when first asked for.
  void watch(Tensor& tensor);
  // A new node for `tensor` whose gradient goes to memory that another tape owns.
  void watch(Tensor& tensor, Slot slot);
  // A new node for a result of the op that records next. Once that op's backward has run, nothing
  // reads the gradient any more; its memory then serves other gradients.
  void watch_result(Tensor& tensor);
  // Appends the backward of one op. Records run in reverse order.
  void record(Backward backward,
              const std::source_location& where = std::source_location::current()) {
    records_.push_back({std::move(backward), where, nodes_.size()});
  }

  // The gradient [same extents] of a watched tensor, zero at first; null if it has no node.
  float* gradient(const Tensor& tensor);
  // The same without the zeros, for a backward that writes every element.
  Slot claim(const Tensor& tensor);
  // The same for a share that is the whole gradient of `result`, whose backward this is: where
  // `tensor` has none yet it takes over that memory, and the slot is null.
  Slot inherit(const Tensor& tensor, const Tensor& result);
  // Whether anything was ever added to it: a backward whose output has no gradient is skipped.
  bool has_gradient(const Tensor& tensor) const;

  // Runs all records in reverse and forgets them. Seeds are set by writing to gradient(...) before.
  void backward();

 private:
  struct Node {
    std::int64_t count = 0;
    float* gradient = nullptr;
    bool written = false;
    bool result = false;
    bool released = false;  // a result whose backward has run
  };
  struct Record {
    Backward backward;
    std::source_location where;
    std::size_t nodes;  // made until then
  };
  Node* node_of(const Tensor& tensor);
  Node* node_with_memory(const Tensor& tensor);
  void release(Node& node);

  Arena& arena_;
  WorkObserver* observer_;
  std::vector<Node> nodes_;
  std::vector<Record> records_;
  std::map<std::int64_t, std::vector<float*>> released_;  // memory by its count of elements
};

}  // namespace r1
