#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace r1::cli {

inline constexpr std::size_t kMaxInputBytes = std::size_t{16} << 20;  // of a text on stdin

bool stdin_is_terminal();
bool stdout_is_terminal();
// Whether stdout understands colours, and nobody asked to do without (no-color.org).
bool stdout_has_styles();

// Several lines of UTF-8 without anything that could steer a terminal.
std::string printable(std::string_view text);

// Bytes on one line within quotes: escapes for controls and for what is not UTF-8.
std::string quoted(std::string_view bytes);

// "937 B", "12.3 MB", "1.23 GB": powers of 1000.
std::string format_bytes(std::int64_t bytes);

// All of stdin. Throws Error when it is longer than kMaxInputBytes.
std::string read_stdin();

// Writes to stdout at once, so that a reader sees an answer grow.
void show(std::string_view text);

// While it lives, Ctrl-C is noted instead of ending the program. One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  bool requested() const;
  void clear();
  // A file descriptor that is readable while a Ctrl-C is noted, to wait for.
  int descriptor() const { return noted_; }

 private:
  int noted_;
};

// Lines typed at a terminal.
class LineReader {
 public:
  // A Ctrl-C that `interrupt` notes, even one from before the call, ends the wait for a line.
  explicit LineReader(const Interrupt* interrupt = nullptr) : interrupt_(interrupt) {}

  enum class Result { kLine, kEnd, kInterrupted };
  // The line without its end. Longer lines than kMaxInputBytes are cut.
  Result read(std::string& line);

 private:
  const Interrupt* interrupt_;
  std::string buffer_;
};

}  // namespace r1::cli
