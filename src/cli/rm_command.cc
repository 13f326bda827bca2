#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/terminal.h"
#include "hub/cache.h"
#include "hub/settings.h"

namespace r1::cli {
namespace {

struct Options {
  std::string name;
  bool yes = false, json = false;
};

bool confirmed(const hub::CachedModel& model) {
  show(fmt::format("Remove {} with {}? [y/N] ", model.repo, format_bytes(model.bytes)));
  std::string answer;
  LineReader reader;
  return reader.read(answer) == LineReader::Result::kLine &&
         (answer == "y" || answer == "Y" || answer == "yes");
}

void run(const Options& options) {
  const hub::ModelName name = hub::parse_model_name(options.name);
  if (name.repo != options.name) {
    throw UsageError(options.name, "is a part of a model",
                     fmt::format("a model is removed as a whole: r1 rm {}", name.repo));
  }
  const hub::Cache cache(hub::cache_from_environment());
  const std::optional<hub::CachedModel> model = cache.find(name.repo);
  if (!model) throw Error(name.repo, "is not in the cache", "see r1 list");
  if (!options.yes && stdin_is_terminal() && !confirmed(*model)) {
    throw Error(name.repo, "was not removed");
  }
  cache.remove(name.repo);
  if (options.json) {
    const nlohmann::ordered_json object = {{"model", name.repo}, {"freed_bytes", model->bytes}};
    show(object.dump() + "\n");
  } else {
    fmt::print("removed {}, {} are free again\n", name.repo, format_bytes(model->bytes));
  }
}

}  // namespace

void add_rm(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("rm", "Remove a model that was pulled.")->group(kStoreGroup);
  const auto options = std::make_shared<Options>();
  command.add_option("NAME", options->name, "ORG/NAME, as r1 list shows it.")->required();
  command.add_flag("--yes", options->yes, "Do not ask at a terminal.");
  add_json(command, options->json);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
