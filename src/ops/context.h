#pragma once

#include <source_location>

#include "backend/matmul.h"
#include "ops/arena.h"
#include "ops/tape.h"

namespace r1 {

// What an op needs besides its inputs. With a tape it records its backward; without one the same
// code infers, and the arena is reset between passes.
struct ForwardContext {
  Backend& backend;
  Arena& arena;
  Precision precision = Precision::bf16;
  Tape* tape = nullptr;

  // An uninitialised result of the op that runs; watched if the tape records. Making it is where an
  // op begins, as far as the backend's observer is concerned.
  Tensor make(Shape shape,
              const std::source_location& where = std::source_location::current()) const;
  // An uninitialised input of the first ops, whose gradient can be read after the backward.
  Tensor make_input(Shape shape) const;
  // An uninitialised activation that never carries a gradient.
  Tensor make_constant(Shape shape) const;
};

}  // namespace r1
