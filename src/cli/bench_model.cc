#include "cli/bench_model.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/terminal.h"
#include "engine/throughput.h"
#include "model/gguf_tokenizer.h"
#include "model/published_shapes.h"
#include "model/random_weights.h"

namespace r1::cli {
namespace {

struct Options {
  std::string model, shape, write, tokenizer, type = "q8_0";
  std::vector<std::int64_t> prompts = {512}, generated = {128}, depths = {0}, sequences = {1};
  std::int64_t repetitions = 3;
  ModelFlags model_flags;
  int threads = 0;
  bool panels = false, json = false;
};

std::unique_ptr<WeightSource> open_source(const Options& options) {
  if (!options.model.empty()) return WeightSource::open(options.model);
  return std::make_unique<RandomWeights>(published_shape(options.shape),
                                         parse_gguf_recipe(options.type));
}

std::vector<ThroughputTest> tests_of(const Options& options) {
  using Kind = ThroughputTest::Kind;
  std::vector<ThroughputTest> tests;
  for (const std::int64_t depth : options.depths) {
    for (const std::int64_t tokens : options.prompts) {
      if (tokens > 0) tests.push_back({Kind::prefill, tokens, depth, 1});
    }
    for (const std::int64_t tokens : options.generated) {
      for (const std::int64_t sequences : options.sequences) {
        if (tokens > 0) tests.push_back({Kind::decode, tokens, depth, sequences});
      }
    }
  }
  return tests;
}

// A GGUF file of the shape, for other programs to be measured on.
void write_model(const Options& options, const WeightSource& source) {
  if (options.shape.empty() || options.tokenizer.empty()) {
    throw UsageError("--write", "it needs --shape and --tokenizer",
                     "the tokenizer of any model whose vocabulary is not larger will do");
  }
  write_gguf(options.write, source, load_model_tokenizer(options.tokenizer),
             {.name = options.shape,
              .recipe = parse_gguf_recipe(options.type),
              .panels = options.panels,
              .threads = thread_count(options.threads)});
}

void run(const Options& options) {
  if (options.model.empty() == options.shape.empty()) {
    throw UsageError("bench", "it needs one thing to measure",
                     "name a model (--model), a shape (--shape), or a subcommand");
  }
  const std::shared_ptr<const WeightSource> source = open_source(options);
  if (!options.write.empty()) return write_model(options, *source);
  const WeightBytes bytes = weight_bytes(*source);
  Backend backend(thread_count(options.threads));
  const std::string name =
      options.model.empty() ? fmt::format("{} {}", options.shape, options.type) : options.model;
  const auto start = std::chrono::steady_clock::now();
  const auto model =
      Model::load(backend, source, source->config().precision(), options.model_flags.load());
  const double load_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const ParameterCount parameters = count_parameters(source->config());
  if (!options.json) {
    show(fmt::format(
        "{}: {:.2f} B parameters, {:.2f} B active, {:.2f} GB of weights, {:.0f} MB "
        "read per token; loaded in {:.2f} s; {}, {} threads\n",
        name, static_cast<double>(parameters.total) * 1e-9,
        static_cast<double>(parameters.active) * 1e-9, static_cast<double>(bytes.total) * 1e-9,
        bytes.per_token * 1e-6, load_seconds, name_of(backend.isa()), backend.threads()));
    show(fmt::format("| {:<20} | {:>10} | {:>10} | {:>18} |\n", "test", "t/s", "best",
                     "share of bandwidth"));
    show("| -------------------- | ---------: | ---------: | -----------------: |\n");
  }
  nlohmann::json rows = nlohmann::json::array();
  // The experts of several sequences differ, so the bytes of a step are known for one sequence.
  const auto finished = [&](const ThroughputResult& result) {
    const bool has_share = result.share_of_bandwidth > 0 &&
                           (result.test.sequences == 1 || source->config().n_routed_experts == 0);
    if (options.json) {
      rows.push_back({{"test", result.test.name()},
                      {"tokens_per_second", result.tokens_per_second},
                      {"best", result.best},
                      {"share_of_bandwidth", has_share ? nlohmann::json(result.share_of_bandwidth)
                                                       : nlohmann::json(nullptr)}});
      return;
    }
    show(fmt::format("| {:<20} | {:>10.2f} | {:>10.2f} | {:>18} |\n", result.test.name(),
                     result.tokens_per_second, result.best,
                     has_share ? fmt::format("{:.2f}", result.share_of_bandwidth) : ""));
  };
  measure_throughput(backend, *model, tests_of(options),
                     {.repetitions = options.repetitions,
                      .bytes_per_step = bytes.per_token,
                      .kv_storage = options.model_flags.kv_cache},
                     finished);
  if (options.json) {
    show(nlohmann::json({{"model", name},
                         {"parameters", parameters.total},
                         {"active_parameters", parameters.active},
                         {"weight_bytes", bytes.total},
                         {"bytes_per_token", bytes.per_token},
                         {"load_seconds", load_seconds},
                         {"isa", std::string(name_of(backend.isa()))},
                         {"threads", backend.threads()},
                         {"tests", rows}})
             .dump(2) +
         "\n");
  }
}

}  // namespace

void add_model_bench(CLI::App& bench) {
  const auto options = std::make_shared<Options>();
  const auto list = [&](const char* name, std::vector<std::int64_t>& values, const char* text) {
    bench.add_option(name, values, text)
        ->type_name("N,...")
        ->delimiter(',')
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 20))
        ->capture_default_str();
  };
  resolve_name(bench.add_option("--model", options->model, "Model to measure."))
      ->type_name("MODEL");
  bench
      .add_option("--shape", options->shape,
                  fmt::format("Or a shape with random weights: {}.",
                              fmt::join(published_shape_names(), ", ")))
      ->type_name("NAME");
  bench.add_option("--type", options->type, "Type of the random weights: bf16, q8_0, q4_k_m, ...")
      ->type_name("TYPE")
      ->capture_default_str();
  list("--prompt", options->prompts, "Tokens of the prompts; 0: none.");
  list("--generate", options->generated, "Tokens to draw; 0: none.");
  list("--depth", options->depths, "Tokens in the cache before.");
  list("--sequences", options->sequences, "Sequences that decode together.");
  bench.add_option("--repetitions", options->repetitions, "Times that each test is run.")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000}))
      ->capture_default_str();
  bench
      .add_option("--write", options->write,
                  "Write the shape with its random weights as a GGUF file, and measure nothing.")
      ->type_name("FILE");
  add_panels(bench, options->panels);
  bench.add_option("--tokenizer", options->tokenizer, "For --write: a model to take it from.")
      ->type_name("MODEL");
  add_model_flags(bench, options->model_flags);
  add_threads(bench, options->threads);
  add_json(bench, options->json);
  bench.callback([options, &bench] {
    if (bench.get_subcommands().empty()) run(*options);
  });
}

}  // namespace r1::cli
