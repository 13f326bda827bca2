#pragma once

#include <source_location>

namespace r1 {

enum class Pass { forward, backward };

// Told what the work that follows is for, so that a benchmark can split time by operation. Work is
// named after the source file that asks for it: each operation has one of its own.
class WorkObserver {
 public:
  virtual ~WorkObserver() = default;
  virtual void begin(const std::source_location& where, Pass pass) = 0;
};

}  // namespace r1
