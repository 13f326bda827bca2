#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/terminal.h"
#include "hub/pull.h"

namespace r1::cli {
namespace {

constexpr std::int64_t kMegabyte = 1'000'000;

struct Options {
  std::string name;
  bool json = false;
};

void run(const Options& options) {
  const hub::ModelName name = hub::parse_model_name(options.name);
  std::optional<Progress> progress;
  const hub::PullResult result = hub::pull(
      hub::settings_from_environment(), name,
      [&](std::int64_t done, std::int64_t total, std::string_view file) {
        if (!progress) {
          ProgressOptions shown;
          shown.unit = "MB";
          shown.start = done / kMegabyte;
          progress.emplace("pull", (total + kMegabyte - 1) / kMegabyte, std::move(shown));
        }
        // The last, unfinished megabyte counts when all is there.
        progress->update(done == total ? (total + kMegabyte - 1) / kMegabyte : done / kMegabyte,
                         file);
      },
      [&](std::string_view note) {
        const std::string text = printable(note);
        progress ? progress->print(text) : fmt::print(stderr, "{}\n", text);
      });
  progress.reset();
  if (options.json) {
    nlohmann::ordered_json files = nlohmann::ordered_json::array();
    for (const hub::RemoteFile& file : result.files) {
      files.push_back({{"file", file.path}, {"bytes", file.size}, {"hash", file.etag}});
    }
    const nlohmann::ordered_json object = {{"model", name.repo},
                                           {"commit", result.commit},
                                           {"path", result.path.string()},
                                           {"bytes", result.bytes},
                                           {"files", std::move(files)}};
    show(object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    return;
  }
  for (const hub::RemoteFile& file : result.files) {
    fmt::print("{:<44} {:>10}  verified\n", printable(file.path), format_bytes(file.size));
  }
  fmt::print("{}\n", printable(result.path.string()));
}

}  // namespace

void add_pull(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("pull", "Get a model from a hub, to use it by its name.")
           ->group(kStoreGroup);
  const auto options = std::make_shared<Options>();
  command
      .add_option("NAME", options->name,
                  "ORG/NAME, with @REVISION if not main; of several GGUF files one by :FILE or "
                  ":Q4_K_M. HF_ENDPOINT, HF_TOKEN and HF_HOME are obeyed.")
      ->required();
  add_json(command, options->json);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
