#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/measured_text.h"
#include "cli/model_files.h"
#include "cli/terminal.h"
#include "engine/engine.h"
#include "model/gguf_tokenizer.h"
#include "reasoning/reasoning_model.h"

namespace r1::cli {
namespace {

struct Options {
  std::string source, target, type;
  std::optional<std::string> text_file;
  std::int64_t tokens = 512;
  int threads = 0;
  bool panels = false, json = false;

  GgufTarget gguf() const {
    return {.type = type, .panels = panels, .threads = thread_count(threads)};
  }
};

std::vector<float> score(Backend& backend, const std::filesystem::path& path,
                         std::span<const std::int32_t> ids, QuantizedProduct product) {
  const std::unique_ptr<Model> model =
      Model::load(backend, path, LoadOptions{.quantized = product});
  EngineOptions options;
  options.max_sequences = 1;
  return Engine(backend, *model, options).score(ids, 1.0f);
}

// How the log-probs of a text's tokens moved.
struct Change {
  std::size_t tokens = 0;
  double before = 0.0, after = 0.0;  // means
  double spread = 0.0;               // root mean square of the tokens' changes
};

Change compare(std::span<const float> before, std::span<const float> after) {
  Change change;
  change.tokens = before.size();
  double squares = 0.0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const double difference = static_cast<double>(after[i]) - static_cast<double>(before[i]);
    change.before += static_cast<double>(before[i]);
    change.after += static_cast<double>(after[i]);
    squares += difference * difference;
  }
  const double count = static_cast<double>(before.size());
  change.before /= count;
  change.after /= count;
  change.spread = std::sqrt(squares / count);
  return change;
}

nlohmann::ordered_json to_json(const Change& change) {
  return {{"tokens", change.tokens},
          {"mean_before", change.before},
          {"mean_after", change.after},
          {"mean_change", change.after - change.before},
          {"rms_change", change.spread},
          {"perplexity_before", std::exp(-change.before)},
          {"perplexity_after", std::exp(-change.after)}};
}

void print_json(const Options& options, const WrittenModel& model, const Change& weights,
                const Change& with_int8) {
  const nlohmann::ordered_json object = {{"file", options.target},
                                         {"bytes", std::filesystem::file_size(options.target)},
                                         {"tensors", tensors_to_json(model.tensors)},
                                         {"notes", model.notes},
                                         {"log_probs", to_json(weights)},
                                         {"log_probs_int8", to_json(with_int8)}};
  show(object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

std::string to_line(const char* what, const Change& change) {
  return fmt::format(
      "{}: mean log-prob of {} tokens {:.6f} -> {:.6f} (change {:+.6f}, per token {:.6f} rms), "
      "perplexity {:.4f} -> {:.4f}\n",
      what, change.tokens, change.before, change.after, change.after - change.before, change.spread,
      std::exp(-change.before), std::exp(-change.after));
}

void run(const Options& options) {
  if (!is_gguf(options.target)) {
    throw UsageError("OUT.gguf", fmt::format("{} does not end in .gguf", options.target),
                     "`r1 convert` writes directories");
  }
  check_target_type(options.gguf());
  const ModelConfig config = WeightSource::open(options.source)->config();
  const std::vector<std::int32_t> ids =
      read_measured_text(options.text_file, load_model_tokenizer(options.source),
                         std::min(options.tokens, config.max_position_embeddings));

  // One model at a time is in memory. A model without a use is not written: scoring goes first.
  Backend backend(options.gguf().threads);
  const std::vector<float> before = score(backend, options.source, ids, QuantizedProduct::bf16);
  const WrittenModel model = write_gguf_model(options.source, options.target, options.gguf());
  // What the weights lose, and what quantised activations lose on top.
  const auto change_with = [&](QuantizedProduct product) {
    return compare(before, score(backend, options.target, ids, product));
  };
  const Change weights = change_with(QuantizedProduct::bf16);
  const Change with_int8 = change_with(QuantizedProduct::int8);
  if (options.json) {
    print_json(options, model, weights, with_int8);
    return;
  }
  show(to_table(model));
  show(fmt::format("{}: {:.1f} MB\n", printable(options.target),
                   static_cast<double>(std::filesystem::file_size(options.target)) / 1e6));
  show(to_line("weights alone (--activations bf16)", weights));
  show(to_line("with int8 activations", with_int8));
}

}  // namespace

void add_quantize(CLI::App& program) {
  CLI::App& command =
      *program
           .add_subcommand("quantize",
                           "Write a model as a GGUF file of a smaller type, and tell what that "
                           "costs: the error of each tensor, and the log-probs of a text.")
           ->group(kUseGroup);
  const auto options = std::make_shared<Options>();
  add_model(command, options->source);
  command.add_option("OUT.gguf", options->target, "The file to write.")->required();
  command
      .add_option("--type", options->type, "Q8_0, Q6_K, Q5_K, Q4_K_M, Q4_K, Q4_0, or a plain type.")
      ->type_name("TYPE")
      ->required();
  add_panels(command, options->panels);
  command
      .add_option("--text", options->text_file,
                  "Text to compare on (default: prose, arithmetic and a program).")
      ->type_name("FILE");
  command.add_option("--tokens", options->tokens, "Compare on so many tokens of it at most.")
      ->type_name("N")
      ->check(number_within(std::int64_t{2}, std::int64_t{1} << 20))
      ->capture_default_str();
  add_json(command, options->json);
  add_threads(command, options->threads);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
