#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "tasks/task.h"

namespace r1::tasks {

// Where a worked solution is written. A family tells its steps once; the pad's style decides how
// they look and whether one of them goes wrong. Values come back as written, so that a slip spreads
// to everything after it.
class Scratchpad {
 public:
  static constexpr int kNoStep = -1;

  // slip_step: the step that goes wrong unnoticed; repair_step: the one that goes wrong and is
  // corrected at once ("Wait, ...").
  Scratchpad(Style style, Language language, Rng& rng, int slip_step = kNoStep,
             int repair_step = kNoStep);

  // Abbreviated: leave out what only serves the reader.
  bool brief() const { return style_ == Style::kShortSteps; }
  bool checks() const { return style_ == Style::kCarefulCheck; }

  Scratchpad& text(std::string_view text);
  Scratchpad& number(std::int64_t value);
  // The same phrase in both languages; the mixed style picks either.
  Scratchpad& say(std::string_view english, std::string_view chinese);
  // Ends a step: a new line, or a comma where steps are abbreviated.
  Scratchpad& next();

  // Writes "expression=value" and returns the value written.
  std::int64_t calculate(std::string_view expression, std::int64_t value);
  // A step whose result the family writes itself.
  std::int64_t step(std::int64_t value);
  bool judge(bool truth);

  int steps() const { return steps_; }
  // The thinking so far, without white space at the ends.
  std::string thinking() const;

 private:
  Style style_;
  Language language_;
  Rng& rng_;
  int slip_step_;
  int repair_step_;
  int steps_ = 0;
  std::string text_;
};

// A number near `value`, never equal to it and never negative: the errors people make.
std::int64_t near_number(std::int64_t value, Rng& rng);

}  // namespace r1::tasks
