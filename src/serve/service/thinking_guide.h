#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "engine/token_guide.h"
#include "serve/service/cycle_detector.h"

namespace r1::serve {

// How the thinking of a completion is held within bounds.
struct ThinkingRules {
  std::int32_t open = -1, close = -1;  // the tokens <think> and </think>
  bool starts_open = false;            // the prompt has opened the thought
  std::int64_t budget = std::numeric_limits<std::int64_t>::max();  // tokens of the thought
  std::int64_t at_least = 0;                                       // the same from below
  bool stop_cycles = false;
  // What is said when the budget is used up or the thought goes round in circles: some words and
  // the closing tag (with what a form wants behind it). Never empty.
  std::vector<std::int32_t> wind_down;
  // What is said instead of the closing tag while the thought is too short ("Wait"; Muennighoff et
  // al. 2025, s1: simple test-time scaling). One token, needed with at_least only.
  std::int32_t go_on = -1;
};

// Acts while a thought is open; before and behind it every token is the model's own.
class ThinkingGuide final : public TokenGuide {
 public:
  explicit ThinkingGuide(ThinkingRules rules);

  Choice next() const override;
  void take(std::int32_t token) override;

 private:
  void wind_down();

  ThinkingRules rules_;
  CycleDetector cycles_;
  std::vector<std::int32_t> forced_;  // to come, the next one last
  std::int64_t thought_ = 0;          // tokens of the thought
  bool open_, done_ = false;
};

}  // namespace r1::serve
