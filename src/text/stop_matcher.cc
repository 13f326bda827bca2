#include "text/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/utf8.h"

namespace r1::text {

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  if (stops.size() > kMaxStopStrings) {
    throw Error("stop", fmt::format("{} stop strings, at most {} are possible", stops.size(),
                                    kMaxStopStrings));
  }
  for (std::string& stop : stops) {
    if (stop.empty() || stop.size() > kMaxStopBytes) {
      throw Error("stop", fmt::format("a stop string has 1 to {} bytes, this one {}", kMaxStopBytes,
                                      stop.size()));
    }
    for (std::string_view rest = stop; !rest.empty();) {
      const Utf8Step step = next_utf8(rest);
      if (step.kind != Utf8Kind::kValid) {
        throw Error("stop", "a stop string is not UTF-8", "it would cut a character in two");
      }
      rest.remove_prefix(step.length);
    }
    Pattern pattern{std::move(stop), {0}, 0};
    for (std::size_t i = 1; i < pattern.text.size(); ++i) {
      pattern.advance(pattern.text[i]);
      pattern.borders.push_back(pattern.matched);
    }
    pattern.matched = 0;
    patterns_.push_back(std::move(pattern));
  }
}

void StopMatcher::Pattern::advance(char byte) {
  while (matched > 0 && text[matched] != byte) matched = borders[matched - 1];
  if (text[matched] == byte) ++matched;
}

std::string StopMatcher::push(std::string_view piece) {
  if (stopped_) return {};
  if (patterns_.empty()) return std::string(piece);
  for (const char byte : piece) {
    held_ += byte;
    std::size_t found = 0;
    for (Pattern& pattern : patterns_) {
      pattern.advance(byte);
      if (pattern.matched == pattern.text.size()) found = std::max(found, pattern.matched);
    }
    if (found > 0) {
      stopped_ = true;
      found_ = held_.substr(held_.size() - found);
      held_.resize(held_.size() - found);
      return std::exchange(held_, {});
    }
  }
  std::size_t begun = 0;
  for (const Pattern& pattern : patterns_) begun = std::max(begun, pattern.matched);
  const std::string certain = held_.substr(0, held_.size() - begun);
  held_.erase(0, certain.size());
  return certain;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace r1::text
