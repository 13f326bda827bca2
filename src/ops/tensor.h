#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/error.h"

namespace r1 {

// Up to four extents, outermost first.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) {
    R1_CHECK(extents.size() <= extents_.size(), "rank {}", extents.size());
    for (std::int64_t extent : extents) extents_[static_cast<std::size_t>(rank_++)] = extent;
  }
  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(axis)]; }
  std::int64_t count() const {
    std::int64_t product = 1;
    for (int axis = 0; axis < rank_; ++axis) product *= (*this)[axis];
    return product;
  }
  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<std::int64_t, 4> extents_{};
  int rank_ = 0;
};

std::string to_string(const Shape& shape);

// An activation: a view of f32 numbers in an Arena, row-major and dense, and, where a tape records,
// the node that its gradient belongs to. Cheap to copy.
struct Tensor {
  float* data = nullptr;
  Shape shape;
  int node = -1;  // Tape::kNoNode: no gradient is wanted

  std::int64_t rows() const { return shape[0]; }
  std::int64_t row_size() const {
    return shape.rank() == 0 || shape[0] == 0 ? 0 : shape.count() / shape[0];
  }
  float* row(std::int64_t index) const { return data + index * row_size(); }
};

// The same numbers seen with other extents; the gradient is the same node's.
inline Tensor reshape(const Tensor& x, Shape shape) {
  R1_CHECK(x.shape.count() == shape.count(), "{} to {}", to_string(x.shape), to_string(shape));
  return {x.data, shape, x.node};
}

}  // namespace r1
