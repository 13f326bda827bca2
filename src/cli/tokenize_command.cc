#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/terminal.h"
#include "model/gguf_tokenizer.h"
#include "text/stream_decoder.h"

namespace r1::cli {
namespace {

struct Options {
  std::string model;
  std::optional<std::string> text, decode;
  bool bos = false, json = false;
};

void decode(const Options& options, const text::Tokenizer& tokenizer) {
  const std::vector<std::int32_t> ids = parse_ids(*options.decode, "--decode");
  for (const std::int32_t id : ids) {
    if (id >= tokenizer.vocab_size()) {
      throw Error("--decode", fmt::format("the id {} is not below the vocabulary's size of {}", id,
                                          tokenizer.vocab_size()));
    }
  }
  const std::string bytes = tokenizer.decode(ids);
  if (options.json) {
    const nlohmann::ordered_json object = {{"ids", ids}, {"text", text::repair_utf8(bytes)}};
    show(object.dump() + "\n");
  } else {
    show(bytes + "\n");
  }
}

void encode(const Options& options, const text::Tokenizer& tokenizer) {
  const std::string input = options.text ? *options.text : read_stdin();
  const std::vector<std::int32_t> ids = tokenizer.encode(input, {.add_bos = options.bos});
  if (options.json) {
    nlohmann::ordered_json tokens = nlohmann::ordered_json::array();
    for (const std::int32_t id : ids) {
      tokens.push_back(text::repair_utf8(tokenizer.token_bytes(id)));
    }
    const nlohmann::ordered_json object = {
        {"count", ids.size()}, {"ids", ids}, {"tokens", std::move(tokens)}};
    show(object.dump() + "\n");
    return;
  }
  for (const std::int32_t id : ids) {
    fmt::print("{:>7}  {}\n", id, quoted(tokenizer.token_bytes(id)));
  }
}

void run(const Options& options) {
  const text::Tokenizer tokenizer = load_model_tokenizer(options.model);
  options.decode ? decode(options, tokenizer) : encode(options, tokenizer);
}

}  // namespace

void add_tokenize(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("tokenize", "Turn text into tokens, or tokens into text.")
           ->group(kUseGroup);
  const auto options = std::make_shared<Options>();
  resolve_name(command.add_option("MODEL", options->model,
                                  "Directory of the model, a tokenizer.json, a .gguf file, or the "
                                  "name of a model that was pulled."))
      ->required();
  CLI::Option* text =
      command.add_option("TEXT", options->text, "What to encode; without it, standard input.");
  command.add_option("--decode", options->decode, "Print the text of these ids instead.")
      ->type_name("1,2,3")
      ->excludes(text);
  command.add_flag("--bos", options->bos, "Begin as the model's prompts do.");
  add_json(command, options->json);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
