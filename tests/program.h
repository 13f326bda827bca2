#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

// The binary `r1` as a user meets it: arguments in, output and exit code out.
namespace r1 {

struct ProgramResult {
  int exit_code = -1;  // -1: ended by a signal
  std::string out, err;
};

// Runs the binary with `input` on its standard input. `environment` is added ("NAME=value").
ProgramResult run_program(const std::vector<std::string>& arguments, const std::string& input = {},
                          const std::vector<std::string>& environment = {});

// The binary at a terminal of its own.
class TerminalProgram {
 public:
  explicit TerminalProgram(const std::vector<std::string>& arguments);
  ~TerminalProgram();
  TerminalProgram(const TerminalProgram&) = delete;
  TerminalProgram& operator=(const TerminalProgram&) = delete;

  void type(const std::string& text);
  // Waits until `text` has appeared after what the last call waited for; returns what stood
  // between. Nothing if it does not appear within a minute.
  std::optional<std::string> wait_for(const std::string& text);
  // Waits until anything has appeared after that.
  bool wait_for_output();
  // Waits for the end of the program; nothing if it does not end within a minute.
  std::optional<int> exit_code();

 private:
  // False at the end of the output or after a minute of silence.
  bool read_more();

  int terminal_ = -1;
  pid_t process_ = -1;
  std::string output_;
};

}  // namespace r1
