#pragma once

#include <chrono>
#include <functional>

#include "serve/accounts/key.h"

namespace r1::serve {

// The time, replaceable by tests.
struct Clock {
  std::function<std::chrono::steady_clock::time_point()> steady = std::chrono::steady_clock::now;
  std::function<WallTime()> wall = [] {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  };
};

}  // namespace r1::serve
