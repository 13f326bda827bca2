#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/terminal.h"
#include "tasks/grade.h"

namespace r1::cli {
namespace {

struct Options {
  std::string name;
  std::uint64_t seed = 0;
  std::int64_t count = 5;
  tasks::Split split = tasks::Split::kTrain;
  tasks::ProblemOptions problem;
  std::optional<tasks::Style> style;
  bool json = false;
};

void list(bool json) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const auto& task : tasks::all_tasks()) {
    if (json) {
      array.push_back({{"name", task->name()}, {"description", task->description()}});
    } else {
      fmt::print("{:<12} {}\n", task->name(), task->description());
    }
  }
  if (json) show(array.dump() + "\n");
}

nlohmann::ordered_json to_json(const tasks::Problem& problem, std::int64_t index) {
  return {{"task", problem.task},
          {"index", index},
          {"id", fmt::format("{:016x}", problem.id)},
          {"difficulty", problem.difficulty},
          {"language", tasks::language_name(problem.language)},
          {"question", problem.question},
          {"answer", problem.gold}};
}

void show_problems(const Options& options) {
  const tasks::Task& task = tasks::find_task(options.name);
  for (std::int64_t i = 0; i < options.count; ++i) {
    const tasks::Problem problem =
        task.generate(options.split, options.seed, static_cast<std::uint64_t>(i), options.problem);
    std::string solution;
    tasks::RewardParts parts;
    if (options.style) {
      Rng rng(options.seed, 0, static_cast<std::uint32_t>(i));
      solution = task.worked_solution(problem, *options.style, rng);
      parts = tasks::grade(problem, solution);
    }
    if (options.json) {
      nlohmann::ordered_json object = to_json(problem, i);
      if (options.style) {
        object["style"] = tasks::style_name(*options.style);
        object["solution"] = solution;
        object["correct"] = parts.correct;
        object["reason"] = parts.reason;
      }
      show(object.dump() + "\n");
      continue;
    }
    fmt::print("{}[{}], difficulty {}, {}\n{}\n", problem.task, i, problem.difficulty,
               tasks::language_name(problem.language), problem.question);
    if (options.style) {
      fmt::print("{}\n{}\n", solution.substr(solution.find_first_not_of(' ')), parts.reason);
    }
    fmt::print("answer: {}\n\n", problem.gold);
  }
}

void add_list(CLI::App& tasks) {
  CLI::App& command = *tasks.add_subcommand("list", "Name the families of problems.");
  const auto json = std::make_shared<bool>(false);
  add_json(command, *json);
  command.callback([json] { list(*json); });
}

void add_show_problems(CLI::App& tasks_command) {
  CLI::App& command = *tasks_command.add_subcommand("show", "Print problems of a family.");
  const auto options = std::make_shared<Options>();
  command.add_option("NAME", options->name, "Name of the family.")->required();
  command.add_option("--seed", options->seed, "Which stream of problems.")
      ->type_name("S")
      ->capture_default_str();
  command.add_option("--count", options->count, "How many.")
      ->type_name("N")
      ->check(number_within(1, 1'000'000))
      ->capture_default_str();
  add_choice<tasks::Split>(command, "--split", options->split,
                           {{"train", tasks::Split::kTrain}, {"held-out", tasks::Split::kHeldOut}},
                           "train or held-out (default train).")
      ->type_name("SPLIT");
  command.add_option("--difficulty", options->problem.difficulty, "1 to 3 (default: mixed).")
      ->type_name("D")
      ->check(number_within(tasks::kMinDifficulty, tasks::kMaxDifficulty));
  std::vector<std::pair<std::string, tasks::Language>> languages;
  for (const tasks::Language language : {tasks::Language::kEnglish, tasks::Language::kChinese}) {
    languages.emplace_back(tasks::language_name(language), language);
  }
  add_choice<tasks::Language>(command, "--language", options->problem.language,
                              std::move(languages), "en or zh (default: mixed).")
      ->type_name("LANGUAGE");
  std::vector<std::pair<std::string, tasks::Style>> styles;
  std::string names;
  for (const tasks::Style style : tasks::kAllStyles) {
    styles.emplace_back(tasks::style_name(style), style);
    names += (names.empty() ? "" : ", ") + styles.back().first;
  }
  add_choice<tasks::Style>(command, "--style", options->style, std::move(styles),
                           "Add a worked solution: " + names + ".")
      ->type_name("STYLE");
  add_json(command, options->json);
  command.callback([options] { show_problems(*options); });
}

}  // namespace

void add_tasks(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("tasks", "List the families of problems, or show some problems.")
           ->group(kMeasureGroup);
  command.require_subcommand(1);
  add_list(command);
  add_show_problems(command);
}

}  // namespace r1::cli
