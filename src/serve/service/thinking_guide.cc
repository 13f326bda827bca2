#include "serve/service/thinking_guide.h"

#include <utility>

#include "base/error.h"

namespace r1::serve {

ThinkingGuide::ThinkingGuide(ThinkingRules rules)
    : rules_(std::move(rules)), open_(rules_.starts_open) {
  R1_CHECK(!rules_.wind_down.empty(), "no words to end the thought with");
  if (open_ && rules_.budget <= 0) wind_down();
}

void ThinkingGuide::wind_down() {
  forced_.assign(rules_.wind_down.rbegin(), rules_.wind_down.rend());
}

TokenGuide::Choice ThinkingGuide::next() const {
  if (!forced_.empty()) return {.forced = forced_.back()};
  if (open_ && thought_ < rules_.at_least) {
    return {.avoided = rules_.close, .instead = rules_.go_on};
  }
  return {};
}

void ThinkingGuide::take(std::int32_t token) {
  const bool was_forced = !forced_.empty();
  if (was_forced) forced_.pop_back();
  if (done_) return;
  if (!open_) {
    open_ = token == rules_.open;
    if (open_ && rules_.budget <= 0) wind_down();
    return;
  }
  if (token == rules_.close) {
    open_ = false;
    done_ = true;
    return;
  }
  ++thought_;
  if (was_forced) return;
  const bool circling = cycles_.push(token) && rules_.stop_cycles;
  if (circling || thought_ >= rules_.budget) wind_down();
}

}  // namespace r1::serve
