#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "train/grpo.h"
#include "train/pretrain.h"
#include "train/recipe.h"

namespace r1::cli {
namespace {

struct Options {
  std::string recipe;
  std::vector<std::string> overrides;
  bool resume = false;
};

void run(const Options& options) {
  const train::Recipe recipe = train::load_recipe(options.recipe, options.overrides);
  const train::RunOptions run_options{options.resume};
  if (const auto* pretrain = std::get_if<train::PretrainRecipe>(&recipe)) {
    train::run_pretrain(*pretrain, run_options);
  } else {
    train::run_grpo(std::get<train::GrpoRecipe>(recipe), run_options);
  }
}

}  // namespace

void add_train(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("train", "Train a model as a recipe says.")->group(kTrainGroup);
  const auto options = std::make_shared<Options>();
  command.add_option("RECIPE", options->recipe, "YAML file, as in recipes/.")->required();
  command.add_option("--set", options->overrides, "Change a value of the recipe; repeatable.")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--resume", options->resume,
                   "Go on from the newest checkpoint, to the same bytes.");
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
