#include "tasks/scratchpad.h"

#include <fmt/format.h>

namespace r1::tasks {

Scratchpad::Scratchpad(Style style, Language language, Rng& rng, int slip_step, int repair_step)
    : style_(style),
      language_(language),
      rng_(rng),
      slip_step_(slip_step),
      repair_step_(repair_step) {}

Scratchpad& Scratchpad::text(std::string_view text) {
  text_ += text;
  return *this;
}

Scratchpad& Scratchpad::number(std::int64_t value) { return text(fmt::format("{}", value)); }

Scratchpad& Scratchpad::say(std::string_view english, std::string_view chinese) {
  bool in_english = language_ == Language::kEnglish;
  if (style_ == Style::kMixed && rng_.chance(0.4)) in_english = !in_english;
  return text(in_english ? english : chinese);
}

Scratchpad& Scratchpad::next() {
  if (text_.empty() || text_.ends_with('\n')) return *this;
  return text(brief() ? ", " : "\n");
}

std::int64_t Scratchpad::calculate(std::string_view expression, std::int64_t value) {
  const bool repair = steps_ == repair_step_;
  const std::int64_t result = step(value);
  if (repair) {
    text(fmt::format("{}={}\n", expression, near_number(value, rng_)));
    say("Wait, ", "等等，");
  }
  text(fmt::format("{}={}", expression, result));
  return result;
}

std::int64_t Scratchpad::step(std::int64_t value) {
  return steps_++ == slip_step_ ? near_number(value, rng_) : value;
}

bool Scratchpad::judge(bool truth) { return steps_++ == slip_step_ ? !truth : truth; }

std::string Scratchpad::thinking() const {
  const auto first = text_.find_first_not_of(" \n,");
  if (first == std::string::npos) return {};
  return text_.substr(first, text_.find_last_not_of(" \n,") - first + 1);
}

std::int64_t near_number(std::int64_t value, Rng& rng) {
  static constexpr std::int64_t kOffsets[] = {-1, 1, -2, 2, -10, 10, -3, 4};
  const std::int64_t near = value + kOffsets[rng.below(value < 12 ? 4 : 8)];
  return near < 0 ? value + 1 : near;
}

}  // namespace r1::tasks
