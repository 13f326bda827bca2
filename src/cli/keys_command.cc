#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/accounts_flags.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/terminal.h"
#include "serve/accounts/key_store.h"

namespace r1::cli {
namespace {

using Json = nlohmann::ordered_json;
using serve::Key;
using serve::KeyStore;
using serve::Money;

// What was said of a key; texts, so that "none" takes a limit away.
struct Options {
  std::string name;
  std::optional<std::string> file;
  std::optional<std::string> requests, tokens, concurrent, daily, expires, balance, top_up, grant;
  std::optional<std::vector<std::string>> models;
  bool disable = false, enable = false;
  bool json = false;
};

constexpr const char* kNone = "none";

KeyStore::Change<std::int64_t> read_limit(const std::optional<std::string>& text,
                                          const char* flag) {
  if (!text) return std::nullopt;
  if (*text == kNone) return std::optional<std::int64_t>();
  std::int64_t number = 0;
  if (!CLI::detail::lexical_cast(*text, number) || number < 1) {
    throw UsageError(flag, fmt::format("'{}' is neither a number from 1 nor none", *text));
  }
  return std::optional(number);
}

Money read_money(const std::string& text, const char* flag) {
  try {
    return Money::parse(text, flag);
  } catch (const Error& error) {
    throw UsageError({}, error.what());
  }
}

std::optional<Money> read_amount(const std::optional<std::string>& text, const char* flag) {
  return text ? std::optional(read_money(*text, flag)) : std::nullopt;
}

KeyStore::Changes changes_of(const Options& options) {
  KeyStore::Changes changes;
  changes.requests_per_minute = read_limit(options.requests, "--requests-per-minute");
  changes.tokens_per_minute = read_limit(options.tokens, "--tokens-per-minute");
  changes.concurrent = read_limit(options.concurrent, "--concurrent");
  changes.daily_tokens = read_limit(options.daily, "--daily-tokens");
  if (options.expires) {
    changes.expires = *options.expires == kNone
                          ? std::optional<serve::WallTime>()
                          : std::optional(parse_time(*options.expires, "--expires"));
  }
  if (options.balance) {
    changes.balance = *options.balance == kNone
                          ? std::optional<Money>()
                          : std::optional(read_money(*options.balance, "--balance"));
  }
  changes.top_up = read_amount(options.top_up, "--top-up");
  changes.grant = read_amount(options.grant, "--grant");
  if (options.models) {
    changes.models = *options.models == std::vector<std::string>{kNone} ? std::vector<std::string>()
                                                                        : *options.models;
  }
  if (options.disable || options.enable) changes.disabled = options.disable;
  return changes;
}

std::string state_of(const Key& key) {
  if (key.revoked) return "revoked";
  if (key.expires && *key.expires <= serve::Clock().wall()) return "expired";
  return key.disabled ? "disabled" : "active";
}

Json to_json(const Key& key) {
  const auto number = [](std::optional<std::int64_t> limit) {
    return limit ? Json(*limit) : Json();
  };
  const auto time = [](std::optional<serve::WallTime> at) {
    return at ? Json(format_time(*at)) : Json();
  };
  Json balance;
  if (key.balance) {
    balance = {{"total", key.balance->total().exact()},
               {"granted", key.balance->granted.exact()},
               {"topped_up", key.balance->topped_up.exact()}};
  }
  return {{"id", key.id},
          {"name", key.name},
          {"state", state_of(key)},
          {"created", format_time(key.created)},
          {"expires", time(key.expires)},
          {"revoked", time(key.revoked)},
          {"requests_per_minute", number(key.limits.requests_per_minute)},
          {"tokens_per_minute", number(key.limits.tokens_per_minute)},
          {"concurrent", number(key.limits.concurrent)},
          {"daily_tokens", number(key.limits.daily_tokens)},
          {"balance", std::move(balance)},
          {"models", key.models}};
}

void show_json(const Json& value) {
  show(value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string limit_text(std::optional<std::int64_t> limit) {
  return limit ? fmt::format("{}", *limit) : "-";
}

void show_key(const Key& key, bool json) {
  if (json) return show_json(to_json(key));
  const auto line = [](const char* label, const std::string& value) {
    fmt::print("{:<20} {}\n", label, printable(value));
  };
  line("name", key.name);
  line("id", key.id);
  line("state", state_of(key));
  line("created", format_time(key.created));
  line("expires", key.expires ? format_time(*key.expires) : "-");
  line("requests per minute", limit_text(key.limits.requests_per_minute));
  line("tokens per minute", limit_text(key.limits.tokens_per_minute));
  line("concurrent requests", limit_text(key.limits.concurrent));
  line("tokens per day", limit_text(key.limits.daily_tokens));
  line("balance", key.balance
                      ? fmt::format("{} ({} granted, {} topped up)", key.balance->total().exact(),
                                    key.balance->granted.exact(), key.balance->topped_up.exact())
                      : "-");
  line("models", key.models.empty() ? "all" : fmt::format("{}", fmt::join(key.models, ", ")));
}

void add(const Options& options) {
  const KeyStore::Changes wanted = changes_of(options);
  Key key;
  key.name = options.name;
  key.expires = wanted.expires.value_or(std::nullopt);
  key.limits = {wanted.requests_per_minute.value_or(std::nullopt),
                wanted.tokens_per_minute.value_or(std::nullopt),
                wanted.concurrent.value_or(std::nullopt),
                wanted.daily_tokens.value_or(std::nullopt)};
  const std::optional<Money> topped_up = wanted.balance.value_or(std::nullopt);
  if (topped_up || wanted.grant) {
    key.balance = serve::KeyBalance{wanted.grant.value_or(Money()), topped_up.value_or(Money())};
  }
  key.models = wanted.models.value_or(std::vector<std::string>());
  const KeyStore::NewKey made = KeyStore(accounts_file(options.file)).add(std::move(key));
  if (options.json) {
    Json object = to_json(made.key);
    object["key"] = made.text;
    show_json(object);
  } else {
    fmt::print("{}\n", made.text);
    fmt::print(stderr, "This is the only time the key is shown.\n");
  }
}

void list(const Options& options) {
  const std::vector<Key> keys = KeyStore(accounts_file(options.file)).list();
  if (options.json) {
    Json array = Json::array();
    for (const Key& key : keys) array.push_back(to_json(key));
    return show_json({{"keys", std::move(array)}});
  }
  if (keys.empty()) {
    fmt::print(stderr, "no keys; r1 keys add NAME makes one\n");
    return;
  }
  std::size_t width = 4;
  for (const Key& key : keys) width = std::max(width, key.name.size());
  fmt::print("{:<{}}  {:<14}  {:<8}  {:<10}  {:>7}  {:>10}  {:>7}  {:>11}  {:>10}\n", "name", width,
             "id", "state", "created", "req/min", "tokens/min", "at once", "tokens/day", "balance");
  for (const Key& key : keys) {
    fmt::print("{:<{}}  {:<14}  {:<8}  {:<10}  {:>7}  {:>10}  {:>7}  {:>11}  {:>10}\n",
               printable(key.name), width, key.id, state_of(key),
               format_time(key.created).substr(0, 10), limit_text(key.limits.requests_per_minute),
               limit_text(key.limits.tokens_per_minute), limit_text(key.limits.concurrent),
               limit_text(key.limits.daily_tokens),
               key.balance ? key.balance->total().cents() : "-");
  }
}

void set(const Options& options) {
  show_key(KeyStore(accounts_file(options.file)).change(options.name, changes_of(options)),
           options.json);
}

void show_one(const Options& options) {
  show_key(KeyStore(accounts_file(options.file)).find(options.name), options.json);
}

void revoke(const Options& options) {
  const Key key = KeyStore(accounts_file(options.file)).revoke(options.name);
  if (options.json) {
    show_json(to_json(key));
  } else {
    fmt::print("revoked {} ({})\n", printable(key.name), key.id);
  }
}

void add_settings(CLI::App& command, Options& options) {
  const auto setting = [&](const char* flag, auto& target, const char* type, const char* text) {
    return command.add_option(flag, target, text)->type_name(type)->group("Settings of the key");
  };
  setting("--requests-per-minute", options.requests, "N", "Requests that may begin per minute.");
  setting("--tokens-per-minute", options.tokens, "N",
          "Tokens per minute: prompt and answer, thinking included.");
  setting("--concurrent", options.concurrent, "N", "Requests at once.");
  setting("--daily-tokens", options.daily, "N", "Tokens per day (in UTC).");
  setting("--balance", options.balance, "AMOUNT",
          "Money that was paid in; without it money does not limit the key.");
  setting("--grant", options.grant, "AMOUNT", "Money that is given, spent before the other.");
  setting("--expires", options.expires, "TIME", "2026-11-28 or 2026-11-28T10:15, in UTC.");
  setting("--models", options.models, "NAME,...", "The models it may use (default: all).")
      ->delimiter(',');
}

using Run = void (*)(const Options&);

CLI::App& add_action(CLI::App& keys, const char* name, const char* description, Run run,
                     const std::shared_ptr<Options>& options) {
  CLI::App& command = *keys.add_subcommand(name, description);
  add_accounts_file(command, options->file);
  add_json(command, options->json);
  command.callback([run, options] { run(*options); });
  return command;
}

}  // namespace

void add_keys(CLI::App& program) {
  CLI::App& keys = *program.add_subcommand("keys", "Manage the API keys of a server.")
                        ->group(kServeGroup)
                        ->require_subcommand(1);
  const auto options = std::make_shared<Options>();
  const auto name = [&](CLI::App& command, const char* text) {
    command.add_option("NAME", options->name, text)->required();
  };
  CLI::App& adding = add_action(keys, "add", "Make a key and print it, once.", add, options);
  name(adding, "What to call it.");
  add_settings(adding, *options);
  add_action(keys, "list", "List all keys.", list, options);
  name(add_action(keys, "show", "Show one key's settings.", show_one, options),
       "Name or id of the key.");
  CLI::App& setting =
      add_action(keys, "set", "Change a key; \"none\" takes a limit away.", set, options);
  name(setting, "Name or id of the key.");
  add_settings(setting, *options);
  setting.add_option("--top-up", options->top_up, "Add to the money that was paid in.")
      ->type_name("AMOUNT")
      ->group("Settings of the key");
  CLI::Option* disable = setting.add_flag("--disable", options->disable, "Refuse it for now.");
  setting.add_flag("--enable", options->enable, "Take it again.")->excludes(disable);
  name(add_action(keys, "revoke", "Refuse a key for ever.", revoke, options),
       "Name or id of the key.");
}

}  // namespace r1::cli
