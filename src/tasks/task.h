#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"

// Problems with exact verifiers: the rule-based rewards of R1-Zero (DeepSeek-R1, section 2.2.2) at
// a size that a transformer of two million parameters can master. docs/tasks.md describes them.
namespace r1::tasks {

enum class Language { kEnglish, kChinese };

// Training problems and held-out problems never share a split key, whatever seed drew them.
enum class Split { kTrain, kHeldOut };

// How a worked solution is written; the corpus mixes them as a web crawl would.
enum class Style {
  kGuess,         // an answer out of thin air, mostly wrong
  kShortSteps,    // abbreviated steps; a slip may spread to the answer
  kCareful,       // every step written, always right
  kCarefulCheck,  // as careful, sometimes noticing an error on the way, with a check at the end
  kMixed,         // careful, in a mixture of both languages
};
inline constexpr Style kAllStyles[] = {Style::kGuess, Style::kShortSteps, Style::kCareful,
                                       Style::kCarefulCheck, Style::kMixed};
std::string_view style_name(Style style);
std::string_view language_name(Language language);  // "en", "zh"

inline constexpr int kMinDifficulty = 1;
inline constexpr int kMaxDifficulty = 3;

// The mathematical content of a problem; each family gives the numbers their meaning.
using Parameters = std::vector<std::int64_t>;

struct Problem {
  std::string task;      // name of the family
  std::string question;  // in `language`, without any prompt template
  std::string gold;      // one correct answer, for display; verify() may accept others
  Language language = Language::kEnglish;
  int difficulty = kMinDifficulty;
  std::uint64_t id = 0;  // hash of task and parameters: the same in both languages
  Parameters parameters;
};

struct Verdict {
  double reward = 0;  // 1 if correct, else 0
  bool correct = false;
  std::string reason;  // in English words, for logs
};

// Thinking and answer of one worked solution, without tags.
struct Solution {
  std::string thinking;
  std::string answer;
};

struct ProblemOptions {
  int difficulty = 0;                // 0 draws from the default mix
  std::optional<Language> language;  // absent: English or Chinese
};

class Scratchpad;

// A family of problems. Stateless; safe to use from several threads.
class Task {
 public:
  virtual ~Task() = default;

  virtual std::string_view name() const = 0;
  virtual std::string_view description() const = 0;

  // Problem number `index` of the stream (task, split, seed); independent of all other indices.
  Problem generate(Split split, std::uint64_t seed, std::uint64_t index,
                   const ProblemOptions& options = {}) const;

  // Checks an answer as the text between the answer tags. Bounded work, never throws.
  virtual Verdict verify(const Problem& problem, std::string_view answer) const = 0;

  Solution solve(const Problem& problem, Style style, Rng& rng) const;
  // The completion after the prompt: " <think> ... </think> <answer> ... </answer>".
  std::string worked_solution(const Problem& problem, Style style, Rng& rng) const;

  // What must not be shared between the splits: parameters up to obvious symmetries.
  virtual Parameters split_key(const Parameters& parameters) const { return parameters; }
  // Other problems of the family that the worked solution solves on its way.
  virtual std::vector<Parameters> contained_problems(const Parameters&) const { return {}; }
  bool is_held_out(const Parameters& parameters) const;
  // Neither held out itself nor giving away a held-out problem on its way.
  bool may_train(const Parameters& parameters) const;

 protected:
  virtual Parameters draw(int difficulty, Rng& rng) const = 0;
  virtual std::string question(const Parameters& parameters, Language language, Rng& rng) const = 0;
  virtual std::string gold(const Parameters& parameters, Language language) const = 0;
  // A plausible answer, wrong as a rule.
  virtual std::string near_miss(const Problem& problem, Rng& rng) const = 0;
  // Writes the thinking to the pad and returns the answer it arrives at.
  virtual std::string write_steps(const Problem& problem, Scratchpad& pad) const = 0;
};

// One in this many split keys is held out.
inline constexpr std::uint64_t kHeldOutModulus = 8;

// Every family, in a fixed order.
const std::vector<std::unique_ptr<Task>>& all_tasks();
// Throws Error naming the nearest known task.
const Task& find_task(std::string_view name);

}  // namespace r1::tasks
