#pragma once

#include <string>

#include "base/rng.h"
#include "cli/terminal.h"
#include "eval/ask.h"
#include "tasks/task.h"

namespace r1::cli {

// The conversation at a terminal: each line is a problem or a command.
class Chat {
 public:
  Chat(Backend& backend, const eval::ReasoningModel& model, eval::AskOptions options, bool verbose);

  // Until /exit, the end of input, or Ctrl-C at an empty prompt twice.
  void run();

 private:
  void greet() const;
  // False ends the conversation.
  bool obey(std::string_view line);
  void pose_problem(std::string_view task_name);
  eval::Answer ask(std::string_view question);

  Backend& backend_;
  const eval::ReasoningModel& model_;
  eval::AskOptions options_;
  bool verbose_;
  bool styles_;
  Engine engine_;
  Interrupt interrupt_;
  Rng problems_;  // which problem is posed next
};

// "prompt 31 tokens, 1234 tokens/s; ...", for --verbose.
std::string timing_line(const eval::Answer& answer);

// Rates of --verbose and --json; 0 where there was nothing to measure.
double prompt_tokens_per_second(const eval::Answer& answer);
double tokens_per_second(const eval::Answer& answer);

}  // namespace r1::cli
