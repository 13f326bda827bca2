#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "cli/terminal.h"
#include "reasoning/ask.h"
#include "tasks/task.h"

namespace r1::cli {

// The conversation at a terminal: each line is a turn or a command. Models without a form for
// conversations meet each line as if it were the first.
class Chat {
 public:
  // turns: those to begin with, such as a system's.
  Chat(Backend& backend, const reasoning::ReasoningModel& model,
       std::vector<text::ChatMessage> turns, reasoning::AskOptions options,
       const EngineOptions& engine_options, bool verbose);

  // Until /exit, the end of input, or Ctrl-C at an empty prompt twice.
  void run();

 private:
  void greet() const;
  // False ends the conversation.
  bool obey(std::string_view line);
  void pose_problem(std::string_view task_name);
  void take_turn(std::string_view text);
  reasoning::Answer ask(std::span<const text::ChatMessage> turns);

  Backend& backend_;
  const reasoning::ReasoningModel& model_;
  std::vector<text::ChatMessage> turns_;  // what the model knows of the conversation
  std::size_t first_turns_;               // how many of them /new keeps
  reasoning::AskOptions options_;
  bool verbose_;
  bool styles_;
  Engine engine_;
  Interrupt interrupt_;
  Rng problems_;  // which problem is posed next
};

// "prompt 31 tokens, 1234 tokens/s; ...", for --verbose.
std::string timing_line(const reasoning::Answer& answer);

// Rates of --verbose and --json; 0 where there was nothing to measure.
double prompt_tokens_per_second(const reasoning::Answer& answer);
double tokens_per_second(const reasoning::Answer& answer);

}  // namespace r1::cli
