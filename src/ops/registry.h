#pragma once

#include <span>
#include <string_view>

namespace r1 {

// One differentiable operation of ops.h, or a reading beside them.
struct OpInfo {
  std::string_view name;
  std::string_view no_gradient;  // why it has none; empty if it has one
};

// All of them. The tests check that each has a double-precision reference, and each with a gradient
// a finite-difference check.
std::span<const OpInfo> registered_ops();

}  // namespace r1
