#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/terminal.h"
#include "hub/cache.h"
#include "hub/settings.h"

namespace r1::cli {
namespace {

struct Options {
  bool json = false;
};

void print_json(const std::vector<hub::CachedModel>& models) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const hub::CachedModel& model : models) {
    nlohmann::ordered_json snapshots = nlohmann::ordered_json::array();
    for (const hub::CachedModel::Snapshot& snapshot : model.snapshots) {
      snapshots.push_back({{"commit", snapshot.commit},
                           {"revisions", snapshot.revisions},
                           {"format", hub::CachedModel::format_of(snapshot)},
                           {"files", snapshot.files}});
    }
    array.push_back({{"model", model.repo},
                     {"bytes", model.bytes},
                     {"incomplete", model.incomplete},
                     {"last_used", model.last_used},
                     {"snapshots", std::move(snapshots)}});
  }
  const nlohmann::ordered_json object = {{"models", std::move(array)}};
  show(object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

// The snapshot's name, and a short form of its commit: "main 0123456".
std::string revision_of(const hub::CachedModel::Snapshot& snapshot) {
  return fmt::format("{}{}{}", fmt::join(snapshot.revisions, ", "),
                     snapshot.revisions.empty() ? "" : " ", snapshot.commit.substr(0, 7));
}

void print_table(const std::vector<hub::CachedModel>& models) {
  std::size_t width = std::string_view("model").size();
  for (const hub::CachedModel& model : models) width = std::max(width, model.repo.size());
  fmt::print("{:<{}}  {:<16} {:>10}  {:<10}  {}\n", "model", width, "revision", "size", "last used",
             "format");
  for (const hub::CachedModel& model : models) {
    const std::string used =
        model.last_used == 0 ? "-" : fmt::format("{:%Y-%m-%d}", fmt::localtime(model.last_used));
    std::string name = model.repo, size = format_bytes(model.bytes);
    const auto row = [&](const std::string& revision, const std::string& format) {
      fmt::print("{:<{}}  {:<16} {:>10}  {:<10}  {}\n", std::exchange(name, {}), width,
                 printable(revision), std::exchange(size, {}), used, printable(format));
    };
    const std::string_view state = model.incomplete ? "incomplete" : "no weights";
    if (model.snapshots.empty()) row("-", std::string(state));
    for (const hub::CachedModel::Snapshot& snapshot : model.snapshots) {
      const std::string format = hub::CachedModel::format_of(snapshot);
      row(revision_of(snapshot), format.empty()     ? std::string(state)
                                 : model.incomplete ? format + ", incomplete"
                                                    : format);
    }
  }
}

void run(const Options& options) {
  const hub::Cache cache(hub::cache_from_environment());
  const std::vector<hub::CachedModel> models = cache.models();
  if (options.json) {
    print_json(models);
  } else if (models.empty()) {
    fmt::print(stderr, "no models in {}; r1 pull ORG/NAME gets one\n",
               printable(cache.root().string()));
  } else {
    print_table(models);
  }
}

}  // namespace

void add_list_models(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("list", "List the models that were pulled.")->group(kStoreGroup);
  const auto options = std::make_shared<Options>();
  add_json(command, options->json);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
