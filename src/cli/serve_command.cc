#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "hub/cache.h"
#include "serve/server.h"

namespace r1::cli {
namespace {

struct Options {
  std::vector<std::string> models;
  std::optional<std::string> config, host, keys, prices, tls_certificate, tls_key;
  std::optional<std::uint16_t> port;
  std::optional<std::int64_t> keep_alive;
  std::vector<std::string> origins;
  ModelFlags model_flags;
  int threads = 0;
};

// "PATH" or "NAME=PATH".
serve::ModelEntry parse_model(const std::string& text) {
  const std::size_t equals = text.find('=');
  serve::ModelEntry entry;
  if (equals != text.npos && equals > 0 && !std::filesystem::exists(text)) {
    entry.name = text.substr(0, equals);
    entry.path = text.substr(equals + 1);
  } else {
    entry.path = text;
  }
  return entry;
}

serve::ServerConfig resolve(const Options& options) {
  serve::ServerConfig config;
  if (options.config) config = serve::read_server_config(*options.config);
  for (const std::string& model : options.models) config.models.push_back(parse_model(model));
  if (config.models.empty()) {
    throw UsageError("serve", "there is no model", "name one or more, or a --config that does");
  }
  for (serve::ModelEntry& model : config.models) {
    model.path = hub::resolve_model(model.path.string());
  }
  if (options.host) config.host = *options.host;
  if (options.port) config.port = *options.port;
  if (options.keys) config.keys = *options.keys;
  if (options.prices) config.prices = serve::PriceTable::load(*options.prices);
  if (options.tls_certificate) config.tls_certificate = *options.tls_certificate;
  if (options.tls_key) config.tls_key = *options.tls_key;
  if (options.keep_alive) config.keep_alive = *options.keep_alive;
  config.origins.insert(config.origins.end(), options.origins.begin(), options.origins.end());
  if (options.threads > 0) config.threads = options.threads;
  config.load = options.model_flags.load();
  config.kv_storage = options.model_flags.kv_cache;
  return config;
}

void run(const Options& options) {
  serve::Server server(resolve(options));
  server.run([](const std::string& url) {
    fmt::print("Serving at {}\n", url);
    std::fflush(stdout);
  });
  fmt::print("Stopped\n");
}

}  // namespace

void add_serve(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("serve", "Serve models over HTTP.")->group(kUseGroup);
  const auto options = std::make_shared<Options>();
  command.add_option("MODEL", options->models,
                     "Directories of models, .gguf files, or names of pulled models; NAME=MODEL "
                     "gives one a name of its own. The first is the default.");
  command
      .add_option("--config", options->config, "Settings (docs/serving.md); flags override them.")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command.add_option("--host", options->host, "Address to listen at (default: 127.0.0.1).")
      ->type_name("ADDRESS");
  command.add_option("--port", options->port, "Port; 0: any that is free (default: 8080).")
      ->type_name("N");
  command
      .add_option("--keys", options->keys,
                  "Ask for API keys; this file holds them and what they used (r1 keys).")
      ->type_name("FILE");
  command.add_option("--prices", options->prices, "What a million tokens cost, per model.")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command
      .add_option("--origin", options->origins,
                  "Let pages of this origin ask: https://chat.example.org; repeatable, * for all.")
      ->type_name("ORIGIN")
      ->allow_extra_args(false);
  command.add_option("--tls-certificate", options->tls_certificate, "Speak HTTPS: chain in PEM.")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command.add_option("--tls-key", options->tls_key, "The certificate's key in PEM.")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command
      .add_option("--keep-alive", options->keep_alive,
                  "Seconds that an idle model stays loaded; -1: for ever (default: 300).")
      ->type_name("N")
      ->check(number_within(std::int64_t{-1}, std::int64_t{1} << 32));
  add_model_flags(command, options->model_flags);
  add_threads(command, options->threads);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
