#include "cli/help_format.h"

#include <fmt/format.h>

namespace r1::cli {
namespace {

constexpr std::size_t kColumn = 30;  // where descriptions begin

}  // namespace

HelpFormat::HelpFormat() { column_width(kColumn); }

std::string HelpFormat::make_help(const CLI::App* app, std::string name,
                                  CLI::AppFormatMode mode) const {
  std::string help = app->get_description() + "\n\n" + make_usage(app, std::move(name));
  help += make_positionals(app);
  help += make_subcommands(app, mode);
  help += CLI::detail::find_and_replace(make_groups(app, mode), "\n\n\n", "\n\n");
  if (!app->get_footer().empty()) help += "\n" + app->get_footer() + "\n";
  return help;
}

std::string HelpFormat::make_usage(const CLI::App* app, std::string name) const {
  std::string usage = "usage: ";
  // CLI11 gives the name of the program for itself, and "r1 run" for a command.
  usage += name.empty() ? app->get_name() : name;
  const bool has_commands = !app->get_subcommands({}).empty();
  usage += has_commands ? " COMMAND [OPTIONS]" : " [OPTIONS]";
  for (const CLI::Option* option :
       app->get_options([](const CLI::Option* o) { return o->get_positional(); })) {
    usage += " " + make_option_usage(option);
  }
  return usage + "\n";
}

std::string HelpFormat::make_positionals(const CLI::App* app) const {
  const std::vector<const CLI::Option*> options =
      app->get_options([](const CLI::Option* o) { return o->get_positional(); });
  return options.empty() ? std::string() : make_group("Arguments", true, options);
}

std::string HelpFormat::make_option_opts(const CLI::Option* option) const {
  if (option->get_positional() || option->get_type_size() == 0) return {};
  // Checks add their range to the name, after a colon.
  const std::string type = option->get_type_name();
  return " " + type.substr(0, type.find(':'));
}

std::string HelpFormat::make_option_desc(const CLI::Option* option) const {
  std::string text = option->get_description();
  if (!option->get_default_str().empty()) {
    text += fmt::format(" (default {})", option->get_default_str());
  }
  return text;
}

std::string HelpFormat::make_subcommand(const CLI::App* command) const {
  return fmt::format("  {:<{}}{}\n", command->get_name(), 12, command->get_description());
}

}  // namespace r1::cli
