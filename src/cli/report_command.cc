#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "train/report.h"

namespace r1::cli {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string out;
};

void run(const Options& options) {
  const std::vector<std::filesystem::path> runs(options.runs.begin(), options.runs.end());
  const std::filesystem::path out(options.out);
  for (const std::filesystem::path& file :
       train::write_report(runs, out.empty() ? runs.front() / "report" : out)) {
    fmt::print("{}\n", file.string());
  }
}

}  // namespace

void add_report(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("report", "Draw the curves of training runs.")->group(kTrainGroup);
  const auto options = std::make_shared<Options>();
  command.add_option("RUN", options->runs, "Directories that `r1 train` wrote.")->required();
  command.add_option("--out", options->out, "Where to write (default: RUN/report).")
      ->type_name("DIR");
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
