#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/measured_text.h"
#include "cli/model_flags.h"
#include "cli/terminal.h"
#include "model/gguf_tokenizer.h"
#include "model/routing_statistics.h"
#include "model/weight_source.h"
#include "reasoning/reasoning_model.h"

namespace r1::cli {
namespace {

struct Options {
  std::string model;
  std::optional<std::string> text_file;
  ModelFlags model_flags;
  int threads = 0;
  bool routing = false, json = false;
};

// How a model is asked. One whose template we cannot run can still be shown.
struct Questions {
  std::string form;
  bool guessed = false;
  std::vector<std::int32_t> end_ids;
};

Questions questions_of(const std::string& model, const reasoning::GenerationConfig& generation,
                       const text::Tokenizer& tokenizer) try {
  const reasoning::ChosenForm chosen = reasoning::find_form(model, generation, tokenizer);
  return {chosen.form.name(), chosen.origin == reasoning::FormOrigin::kGuessed,
          reasoning::find_end_ids(model, generation, tokenizer, chosen.form)};
} catch (const Error& error) {
  return {fmt::format("unusable: {}", error.what()), false, generation.end_ids};
}

// How a text spreads over the experts of each layer.
void show_routing(const Options& options) {
  constexpr std::int64_t kMostTokens = 4096, kBusiest = 5;
  Backend backend(thread_count(options.threads));
  const std::unique_ptr<Model> model =
      Model::load(backend, options.model, options.model_flags.load());
  const ModelConfig& config = model->config();
  if (config.n_routed_experts == 0) {
    throw Error(options.model, "has no routed experts", "every token goes through all its weights");
  }
  const std::vector<std::int32_t> ids =
      read_measured_text(options.text_file, load_model_tokenizer(options.model),
                         std::min(kMostTokens, config.max_position_embeddings));
  const std::vector<LayerRouting> layers = measure_routing(backend, *model, ids);
  if (options.json) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const LayerRouting& layer : layers) {
      rows.push_back({{"layer", layer.layer},
                      {"imbalance", layer.imbalance()},
                      {"evenness", layer.evenness()},
                      {"unused", layer.unused()},
                      {"load", layer.load}});
    }
    show(nlohmann::ordered_json({{"tokens", ids.size()}, {"layers", rows}}).dump() + "\n");
    return;
  }
  fmt::print("{} tokens, {} of {} experts each\n{:>5}  {:>9}  {:>8}  {:>6}  busiest (tokens)\n",
             ids.size(), config.num_experts_per_tok, config.n_routed_experts, "layer", "max/mean",
             "evenness", "unused");
  for (const LayerRouting& layer : layers) {
    std::string busiest;
    for (const std::int64_t expert : layer.busiest(kBusiest)) {
      busiest += fmt::format("{}{} ({})", busiest.empty() ? "" : ", ", expert,
                             layer.load[static_cast<std::size_t>(expert)]);
    }
    fmt::print("{:>5}  {:>9.2f}  {:>8.3f}  {:>6}  {}\n", layer.layer, layer.imbalance(),
               layer.evenness(), layer.unused(), busiest);
  }
}

void run(const Options& options) {
  if (options.routing) return show_routing(options);
  const auto weights = WeightSource::open(options.model);
  const ModelConfig& config = weights->config();
  const StoredTensors stored = weights->contents();
  const reasoning::GenerationConfig generation = reasoning::read_generation_config(options.model);
  const ParameterCount count = count_parameters(config);
  const text::Tokenizer tokenizer = load_model_tokenizer(options.model);
  const Questions questions = questions_of(options.model, generation, tokenizer);
  if (options.json) {
    const nlohmann::ordered_json object = {
        {"model", options.model},
        {"model_type", config.model_type},
        {"parameters", count.total},
        {"active_parameters", count.active},
        {"multi_token_prediction_parameters", count.multi_token_prediction},
        {"layers", config.num_hidden_layers},
        {"hidden_size", config.hidden_size},
        {"routed_experts", config.n_routed_experts},
        {"experts_per_token", config.num_experts_per_tok},
        {"vocab_size", config.vocab_size},
        {"context", config.max_position_embeddings},
        {"precision", config.torch_dtype},
        {"tensors", stored.count},
        {"values_by_type", stored.values},
        {"prompt_template", questions.form},
        {"prompt_template_is_guessed", questions.guessed},
        {"end_ids", questions.end_ids}};
    show(object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    return;
  }
  const auto line = [](std::string_view name, const std::string& value) {
    fmt::print("{:<12} {}\n", name, printable(value));
  };
  const auto millions = [](std::int64_t n) {
    return fmt::format("{:.2f} M", static_cast<double>(n) / 1e6);
  };
  line("model", options.model);
  line("type", fmt::format("{}, {}", config.model_type, config.torch_dtype));
  line("parameters",
       fmt::format("{}, {} active per token, {} in prediction modules", millions(count.total),
                   millions(count.active), millions(count.multi_token_prediction)));
  line("layers", fmt::format("{} of width {}, {} heads", config.num_hidden_layers,
                             config.hidden_size, config.num_attention_heads));
  line("experts", config.n_routed_experts == 0
                      ? "none"
                      : fmt::format("{} of {} per token, {} shared", config.num_experts_per_tok,
                                    config.n_routed_experts, config.n_shared_experts));
  line("cache", fmt::format("{} numbers per token and layer", config.kv_row_size()));
  line("vocabulary", fmt::format("{} tokens", config.vocab_size));
  line("context", fmt::format("{} tokens", config.max_position_embeddings));
  std::string types;
  for (const auto& [type, values] : stored.values) {
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", millions(values), type);
  }
  line("stored", fmt::format("{} tensors: {}", stored.count, types));
  line("template", questions.form + (questions.guessed ? ", by its tokens" : ""));
  std::string ends;
  for (const std::int32_t id : questions.end_ids) {
    ends += fmt::format("{}{} {}", ends.empty() ? "" : ", ", id, tokenizer.token_bytes(id));
  }
  line("ends", ends);
}

}  // namespace

void add_show(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("show", "Describe a model.")->group(kUseGroup);
  const auto options = std::make_shared<Options>();
  add_model(command, options->model);
  CLI::Option* routing = command.add_flag("--routing", options->routing,
                                          "Read a text, and tell how it spreads over the experts.");
  command
      .add_option("--text", options->text_file, "For --routing: a file (default: a short text).")
      ->type_name("FILE")
      ->needs(routing);
  add_json(command, options->json);
  add_model_flags(command, options->model_flags);
  add_threads(command, options->threads);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
