#pragma once

#include <cstdint>
#include <vector>

namespace r1::serve {

// Notices that a thought goes round in circles: its last tokens are one stretch again and again.
// Exact, and bounded: periods up to kLongestPeriod, a few operations for each of them and token.
class CycleDetector {
 public:
  static constexpr std::size_t kLongestPeriod = 128;
  static constexpr std::size_t kRepetitions = 6;      // of the stretch, at least,
  static constexpr std::size_t kRepeatedTokens = 96;  // and so many tokens together

  // Whether the tokens so far end in a cycle.
  bool push(std::int32_t token);

 private:
  std::vector<std::int32_t> recent_ = std::vector<std::int32_t>(kLongestPeriod, -1);  // a ring
  // [p - 1]: how many of the last tokens each equal the one p before.
  std::vector<std::size_t> equal_ = std::vector<std::size_t>(kLongestPeriod, 0);
  std::size_t count_ = 0;
};

}  // namespace r1::serve
