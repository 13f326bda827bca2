#include "tasks/task.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/edit_distance.h"
#include "base/error.h"
#include "tasks/families.h"
#include "tasks/hash.h"
#include "tasks/scratchpad.h"

namespace r1::tasks {
namespace {

std::uint64_t hash_of(std::string_view task, const Parameters& parameters) {
  Hash hash;
  hash.add(task);
  for (const std::int64_t p : parameters) hash.add(static_cast<std::uint64_t>(p));
  return hash.value();
}

constexpr double kEasyShare = 0.35;
constexpr double kMiddleShare = 0.40;
constexpr double kChineseShare = 0.40;
constexpr double kSlipShare = 0.42;    // of short_steps solutions
constexpr double kRepairShare = 0.25;  // of careful_check solutions

int draw_difficulty(Rng& rng) {
  const double u = rng.uniform();
  return u < kEasyShare ? 1 : u < kEasyShare + kMiddleShare ? 2 : 3;
}

}  // namespace

std::string_view style_name(Style style) {
  switch (style) {
    case Style::kGuess:
      return "guess";
    case Style::kShortSteps:
      return "short_steps";
    case Style::kCareful:
      return "careful";
    case Style::kCarefulCheck:
      return "careful_check";
    case Style::kMixed:
      return "mixed";
  }
  R1_CHECK(false, "style {}", static_cast<int>(style));
}

std::string_view language_name(Language language) {
  return language == Language::kEnglish ? "en" : "zh";
}

bool Task::is_held_out(const Parameters& parameters) const {
  return hash_of(name(), split_key(parameters)) % kHeldOutModulus == 0;
}

bool Task::may_train(const Parameters& parameters) const {
  const auto contained = contained_problems(parameters);
  return !is_held_out(parameters) &&
         std::none_of(contained.begin(), contained.end(),
                      [&](const Parameters& inner) { return is_held_out(inner); });
}

Problem Task::generate(Split split, std::uint64_t seed, std::uint64_t index,
                       const ProblemOptions& options) const {
  R1_CHECK(options.difficulty >= 0 && options.difficulty <= kMaxDifficulty, "difficulty {}",
           options.difficulty);
  Hash stream;
  stream.add(name());
  stream.add(seed);
  stream.add(static_cast<std::uint64_t>(split));
  Rng rng(stream.value(), static_cast<std::uint32_t>(index >> 32),
          static_cast<std::uint32_t>(index));

  Problem problem;
  problem.task = name();
  problem.difficulty = draw_difficulty(rng);
  if (options.difficulty != 0) problem.difficulty = options.difficulty;
  problem.language = rng.chance(kChineseShare) ? Language::kChinese : Language::kEnglish;
  if (options.language) problem.language = *options.language;
  // About one draw in eight is held out, so a run of this many misses does not happen by chance.
  constexpr int kMaxDraws = 10000;
  int draws = 0;
  do {
    problem.parameters = draw(problem.difficulty, rng);
    R1_CHECK(++draws < kMaxDraws, "no problem of {} for its split", name());
  } while (split == Split::kTrain ? !may_train(problem.parameters)
                                  : !is_held_out(problem.parameters));
  problem.question = question(problem.parameters, problem.language, rng);
  problem.gold = gold(problem.parameters, problem.language);
  problem.id = hash_of(name(), problem.parameters);
  return problem;
}

Solution Task::solve(const Problem& problem, Style style, Rng& rng) const {
  const bool english = problem.language == Language::kEnglish;
  if (style == Style::kGuess) {
    static constexpr std::string_view kEnglish[] = {"", "I just know this.", "Easy.", "I guess."};
    static constexpr std::string_view kChinese[] = {"", "我猜一下。", "很简单。", "凭感觉。"};
    static constexpr double kRight[] = {0.12, 0.08, 0.04};  // by difficulty
    const std::uint32_t phrase = rng.below(4);
    Solution solution{std::string(english ? kEnglish[phrase] : kChinese[phrase]), {}};
    const bool right = rng.chance(kRight[problem.difficulty - 1]);
    solution.answer = right ? problem.gold : near_miss(problem, rng);
    return solution;
  }

  int slip = Scratchpad::kNoStep;
  int repair = Scratchpad::kNoStep;
  const bool slips = style == Style::kShortSteps && rng.chance(kSlipShare);
  const bool repairs = style == Style::kCarefulCheck && rng.chance(kRepairShare);
  if (slips || repairs) {
    Rng rehearsal_rng = rng;
    Scratchpad rehearsal(style, problem.language, rehearsal_rng);
    write_steps(problem, rehearsal);
    const int steps = rehearsal.steps();
    if (steps > 0) (slips ? slip : repair) = static_cast<int>(rng.below(std::uint32_t(steps)));
  }
  Scratchpad pad(style, problem.language, rng, slip, repair);
  if (style == Style::kCareful) {
    pad.say("Step by step.\n", "一步一步来。\n");
  } else if (style == Style::kCarefulCheck) {
    pad.say("Let me think carefully.\n", "仔细想想。\n");
  } else if (style == Style::kMixed) {
    pad.say("Let me see.\n", "我看看。\n");
  }
  std::string answer = write_steps(problem, pad);
  return {pad.thinking(), std::move(answer)};
}

std::string Task::worked_solution(const Problem& problem, Style style, Rng& rng) const {
  const Solution solution = solve(problem, style, rng);
  const std::string_view gap = solution.thinking.empty() ? "" : " ";
  return fmt::format(" <think>{}{} </think> <answer> {} </answer>", gap, solution.thinking,
                     solution.answer);
}

const std::vector<std::unique_ptr<Task>>& all_tasks() {
  static const std::vector<std::unique_ptr<Task>> tasks = [] {
    std::vector<std::unique_ptr<Task>> list;
    list.push_back(make_arithmetic());
    list.push_back(make_countdown());
    list.push_back(make_gcd());
    list.push_back(make_linear());
    list.push_back(make_base());
    list.push_back(make_modular());
    list.push_back(make_list());
    list.push_back(make_knights());
    return list;
  }();
  return tasks;
}

const Task& find_task(std::string_view name) {
  const Task* nearest = nullptr;
  std::size_t nearest_distance = 0;
  const std::string_view bounded = name.substr(0, 64);
  for (const auto& task : all_tasks()) {
    if (task->name() == name) return *task;
    const std::size_t distance = edit_distance(task->name(), bounded);
    if (nearest == nullptr || distance < nearest_distance) {
      nearest = task.get();
      nearest_distance = distance;
    }
  }
  throw Error("task", fmt::format("no task is called '{}'", bounded),
              fmt::format("did you mean '{}'?", nearest->name()));
}

}  // namespace r1::tasks
