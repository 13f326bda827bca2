#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace r1 {

// "0:42", "12:03", "1:02:03", "2d 01:02:03"; "--:--" for what is not finite or beyond 999 days.
std::string format_duration(double seconds);

struct ProgressOptions {
  std::string unit = "steps";
  std::int64_t start = 0;  // work done before, by a run that is resumed
  int fd = STDERR_FILENO;
  std::optional<bool> terminal;   // none: ask the descriptor
  std::size_t width = 0;          // columns; 0: ask the terminal
  std::function<double()> clock;  // monotonic seconds; none: the steady clock
};

// Shows how far a long work is, how fast, and how long it will still take. On a terminal one line
// that is redrawn; elsewhere (a log file, CI) plain lines, at most one every few seconds.
// For one thread. Output is an aid: failures to write it are ignored.
class Progress {
 public:
  Progress(std::string label, std::int64_t total, ProgressOptions options = {});
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // Leaves the last state on the screen.
  ~Progress();

  // done: units finished, of `total`; metrics: what else to show, e.g. "loss 1.234".
  void update(std::int64_t done, std::string_view metrics = {});
  // Prints text, which may have several lines, without tearing the bar.
  void print(std::string_view text);

 private:
  struct Mark {
    double time;
    std::int64_t done;
  };

  double rate() const;  // units per second over the last while; 0 when unknown
  std::string bar_line() const;
  std::string plain_line() const;
  void draw();
  void write(std::string_view text) const;

  std::string label_;
  std::int64_t total_;
  ProgressOptions options_;
  bool terminal_;
  std::int64_t done_;
  std::string metrics_;
  std::deque<Mark> marks_;
  double next_draw_;
  bool drawn_ = false;  // whether the screen shows the latest state
};

}  // namespace r1
