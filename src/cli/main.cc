#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/help_format.h"
#include "train/recipe_schema.h"

namespace {

using AddCommand = void (*)(CLI::App&);

// The commands, in the order of `r1 --help`.
constexpr AddCommand kCommands[] = {
    r1::cli::add_run,          //
    r1::cli::add_serve,        //
    r1::cli::add_score,        //
    r1::cli::add_tokenize,     //
    r1::cli::add_show,         //
    r1::cli::add_convert,      //
    r1::cli::add_quantize,     //
    r1::cli::add_fit,          //
    r1::cli::add_pull,         //
    r1::cli::add_list_models,  //
    r1::cli::add_rm,           //
    r1::cli::add_keys,         //
    r1::cli::add_usage,        //
    r1::cli::add_train,        //
    r1::cli::add_report,       //
    r1::cli::add_tasks,        //
    r1::cli::add_eval,         //
    r1::cli::add_bench,        //
};

enum ExitCode { kFine = 0, kFailed = 1, kWrongUsage = 2 };

int fail(const char* what, ExitCode code) {
  fmt::print(stderr, "error: {}\n", what);
  return code;
}

// A mistyped command, told before the parser calls it an unexpected argument.
void check_command(const CLI::App& program, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-' || argv[1][0] == '\0') return;
  std::vector<std::string> names;
  for (const CLI::App* command : program.get_subcommands({})) names.push_back(command->get_name());
  const std::string given = argv[1];
  if (std::find(names.begin(), names.end(), given) != names.end()) return;
  throw r1::UsageError("r1", fmt::format("there is no command '{}'", given),
                       fmt::format("did you mean '{}'? r1 --help lists all commands",
                                   r1::train::nearest_name(given, names)));
}

// What the parser found wrong, on one line that ends with where to read on.
int fail_usage(const CLI::App& program, const CLI::ParseError& error) {
  std::string command = "r1";
  for (const CLI::App* app = &program; !app->get_subcommands().empty();) {
    app = app->get_subcommands().front();
    command += " " + app->get_name();
  }
  const r1::UsageError usage({}, error.what(), fmt::format("see {} --help", command));
  return fail(usage.what(), kWrongUsage);
}

int run(int argc, char** argv) {
  CLI::App program("r1.cpp: DeepSeek-R1, from training to use, as one native program.", "r1");
  program.formatter(std::make_shared<r1::cli::HelpFormat>());
  program.set_version_flag("--version", std::string("r1 ") + R1_VERSION, "Print the version.");
  program.set_help_flag("-h,--help", "Print help.");
  program.require_subcommand(1);
  for (const AddCommand add : kCommands) add(program);
  program.footer("r1 COMMAND --help tells more about a command.");

  try {
    if (argc < 2) {
      fmt::print(stderr, "{}", program.help());
      return kWrongUsage;
    }
    check_command(program, argc, argv);
    program.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    program.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    return fail_usage(program, error);
  } catch (const r1::UsageError& error) {
    return fail(error.what(), kWrongUsage);
  }
  // A full disk behind a redirection shows only now.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return fail("standard output: cannot be written", kFailed);
  }
  return kFine;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    return fail("out of memory", kFailed);
  } catch (const std::exception& error) {
    return fail(error.what(), kFailed);
  }
}
