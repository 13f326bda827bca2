#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace r1::text {

inline constexpr std::size_t kMaxStopStrings = 64;
inline constexpr std::size_t kMaxStopBytes = 1024;  // of one stop string

// Ends a stream of text before the first stop string in it. The first is the one that is complete
// first (the longest of those that end together), so that the result does not depend on how the
// stream is cut into pieces. Text is held back only while it may still begin a stop string.
//
// One automaton of Knuth, Morris and Pratt per stop string: linear time, whatever the text.
class StopMatcher {
 public:
  // Throws Error for a stop string that is empty, overlong or not UTF-8, or too many of them.
  explicit StopMatcher(std::vector<std::string> stops = {});

  // The text that is certain to stand before any stop string. Nothing once stopped.
  std::string push(std::string_view piece);
  // The end of the stream: what was held back. Nothing once stopped.
  std::string finish();
  // Whether a stop string was found.
  bool stopped() const { return stopped_; }
  // The stop string that was found; empty before.
  const std::string& found() const { return found_; }

 private:
  struct Pattern {
    std::string text;
    std::vector<std::size_t> borders;  // [i]: longest proper border of the first i + 1 bytes
    std::size_t matched = 0;           // longest beginning of `text` that ends the stream so far
    void advance(char byte);
  };

  std::vector<Pattern> patterns_;
  std::string held_;  // the end of the stream that may begin a stop string
  std::string found_;
  bool stopped_ = false;
};

}  // namespace r1::text
