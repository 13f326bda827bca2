#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "serve/accounts/clock.h"

namespace r1::serve::testing {

// A folder of its own, gone with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            fmt::format("r1-serve-test-{}-{}", ::getpid(), ++count);
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Time that a test moves. Begins at 2026-11-28 10:00 UTC.
class FakeTime {
 public:
  Clock clock() const {
    return {.steady = [since = since_] { return std::chrono::steady_clock::time_point(*since); },
            .wall = [since = since_] { return kStart + *since; }};
  }
  void advance(std::chrono::milliseconds time) { *since_ += time; }

  static constexpr WallTime kStart =
      std::chrono::sys_days(std::chrono::year(2026) / 11 / 28) + std::chrono::hours(10);

 private:
  std::shared_ptr<std::chrono::milliseconds> since_ =
      std::make_shared<std::chrono::milliseconds>(0);
};

}  // namespace r1::serve::testing
