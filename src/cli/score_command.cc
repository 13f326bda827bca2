#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/terminal.h"
#include "engine/engine.h"
#include "reasoning/reasoning_model.h"
#include "text/stream_decoder.h"

namespace r1::cli {
namespace {

struct Options {
  std::string model;
  std::optional<std::string> text, ids;
  float temperature = 1.0f;
  ModelFlags model_flags;
  int threads = 0;
  bool json = false;
};

std::vector<std::int32_t> read_input(const Options& options, const text::Tokenizer& tokenizer) {
  if (options.ids) return parse_ids(*options.ids, "--ids");
  const std::string text = options.text ? *options.text : read_stdin();
  if (text.empty()) throw Error("text", "it is empty", "there is nothing to score");
  return tokenizer.encode(text, {.add_bos = true});
}

void print_json(const std::vector<std::int32_t>& ids, const std::vector<float>& log_probs,
                const std::vector<float>& entropies, const text::Tokenizer& tokenizer,
                double total) {
  nlohmann::ordered_json tokens = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    nlohmann::ordered_json token = {{"id", ids[i]},
                                    {"token", text::repair_utf8(tokenizer.token_bytes(ids[i]))},
                                    {"log_prob", nullptr},
                                    {"entropy", nullptr}};
    if (i > 0) {
      token["log_prob"] = log_probs[i - 1];
      token["entropy"] = entropies[i - 1];
    }
    tokens.push_back(std::move(token));
  }
  const double count = static_cast<double>(log_probs.size());
  const nlohmann::ordered_json object = {{"ids", ids},
                                         {"log_probs", log_probs},
                                         {"tokens", std::move(tokens)},
                                         {"scored_tokens", log_probs.size()},
                                         {"total_log_prob", total},
                                         {"mean_log_prob", total / count},
                                         {"perplexity", std::exp(-total / count)}};
  show(object.dump() + "\n");
}

void run(const Options& options) {
  Backend backend(thread_count(options.threads));
  const reasoning::ReasoningModel model = reasoning::load_reasoning_model(
      backend, options.model, reasoning::Prompting::kPlain, options.model_flags.load());
  const std::vector<std::int32_t> ids = read_input(options, model.tokenizer);
  const std::int64_t vocab_size = model.model->config().vocab_size;
  for (const std::int32_t id : ids) {
    if (id >= vocab_size) {
      throw Error("--ids", fmt::format("the id {} is not below the vocabulary's size of {}", id,
                                       vocab_size));
    }
  }
  if (ids.size() < 2) {
    throw Error("input", "one token alone has nothing before it", "give at least two tokens");
  }

  Engine engine(backend, *model.model, options.model_flags.engine(1));
  std::vector<float> entropies;
  const std::vector<float> log_probs = engine.score(ids, options.temperature, &entropies);
  const double total = std::accumulate(log_probs.begin(), log_probs.end(), 0.0);
  if (options.json) {
    print_json(ids, log_probs, entropies, model.tokenizer, total);
    return;
  }
  const double count = static_cast<double>(log_probs.size());
  fmt::print("{:>7}  {:>10}  token\n", "id", "log-prob");
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::string value = i == 0 ? "-" : fmt::format("{:.6f}", log_probs[i - 1]);
    fmt::print("{:>7}  {:>10}  {}\n", ids[i], value, quoted(model.tokenizer.token_bytes(ids[i])));
  }
  fmt::print("total {:.6f}, mean {:.6f} over {} tokens, perplexity {:.4f}\n", total, total / count,
             log_probs.size(), std::exp(-total / count));
}

}  // namespace

void add_score(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("score", "Tell how probable a model finds each token of a text.")
           ->group(kUseGroup);
  const auto options = std::make_shared<Options>();
  add_model(command, options->model);
  CLI::Option* text =
      command.add_option("--text", options->text, "What to score; without it, standard input.")
          ->type_name("TEXT");
  command.add_option("--ids", options->ids, "Score these token ids, exactly as given.")
      ->type_name("1,2,3")
      ->excludes(text);
  command.add_option("--temperature", options->temperature, "Of the softmax.")
      ->type_name("T")
      ->check(number_within(0.01f, 100.0f))
      ->capture_default_str();
  add_json(command, options->json);
  add_model_flags(command, options->model_flags);
  add_threads(command, options->threads);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
