#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace r1::cli {

// Help in the manner of `usage: r1 run [OPTIONS] MODEL [PROMPT]`, a sentence, and tables whose
// entries name their values: `--top-k N`.
class HelpFormat : public CLI::Formatter {
 public:
  HelpFormat();

  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_positionals(const CLI::App* app) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace r1::cli
