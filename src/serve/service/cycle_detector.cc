#include "serve/service/cycle_detector.h"

#include <algorithm>

namespace r1::serve {

bool CycleDetector::push(std::int32_t token) {
  bool found = false;
  const std::size_t known = std::min(count_, kLongestPeriod);
  for (std::size_t period = 1; period <= known; ++period) {
    const std::int32_t before = recent_[(count_ - period) % kLongestPeriod];
    std::size_t& equal = equal_[period - 1];
    equal = before == token ? equal + 1 : 0;
    const std::size_t together = equal + period;
    found = found || (together >= kRepetitions * period && together >= kRepeatedTokens);
  }
  recent_[count_ % kLongestPeriod] = token;
  ++count_;
  return found;
}

}  // namespace r1::serve
