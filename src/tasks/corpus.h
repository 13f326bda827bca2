#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tasks/task.h"

namespace r1::tasks {

// What is wrong with the form of a document, as on the web: most have both blocks, some not.
enum class Form {
  kWellFormed,
  kAnswerWord,   // "Answer: 42"
  kBare,         // "42"
  kNoThinking,   // the answer block alone
  kNoAnswerTag,  // a think block, then the answer without tags
  kOpenThink,    // the think block never closed
};
std::string_view form_name(Form form);

// The shares of the corpus. With the defaults a perfect imitator is right about every other time,
// and two in five of its answers are careful: the base model has seen how to reason, but mostly it
// does not.
struct CorpusMixture {
  double drills = 0.18;     // of all documents; number facts without a prompt
  double malformed = 0.12;  // of the others; guesses and short steps in another form
  // Of the well-formed ones; they add up to 1.
  double guess = 0.42;
  double short_steps = 0.18;
  double careful = 0.19;
  double careful_check = 0.15;
  double mixed = 0.06;
  bool operator==(const CorpusMixture&) const = default;
};

// A family's share of the problems, relative to the others'.
struct TaskShare {
  const Task* task;
  double weight;
};
// Every family alike.
std::vector<TaskShare> equal_shares();
// A family by its weight; at least one share.
const Task& draw_task(const std::vector<TaskShare>& shares, Rng& rng);

struct Document {
  std::string prompt;      // empty for a drill
  std::string completion;  // what the model is to write after the prompt
  // Where it came from; absent for a drill.
  std::optional<Problem> problem;
  Style style = Style::kGuess;
  Form form = Form::kWellFormed;
};

// The base model's training text: document number i of a seed, in any order, from the training
// split alone.
class Corpus {
 public:
  // render_prompt: puts a question into the prompt template.
  using RenderPrompt = std::function<std::string(std::string_view question)>;

  Corpus(std::uint64_t seed, CorpusMixture mixture, RenderPrompt render_prompt,
         std::vector<TaskShare> shares = equal_shares());

  Document document(std::uint64_t index) const;

 private:
  Style draw_style(Rng& rng) const;

  std::uint64_t seed_;
  CorpusMixture mixture_;
  RenderPrompt render_prompt_;
  std::vector<TaskShare> shares_;
};

}  // namespace r1::tasks
