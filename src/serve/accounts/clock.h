#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace r1::serve {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

// As the accounts file keeps it.
constexpr std::int64_t milliseconds(WallTime time) { return time.time_since_epoch().count(); }

// The time, replaceable by tests.
struct Clock {
  std::function<std::chrono::steady_clock::time_point()> steady = std::chrono::steady_clock::now;
  std::function<WallTime()> wall = [] {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  };
};

}  // namespace r1::serve
