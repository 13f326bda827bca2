#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/terminal.h"
#include "eval/evaluation_report.h"
#include "eval/needle.h"

namespace r1::cli {
namespace {

struct Options {
  std::string model, out, svg;
  std::string tasks = "all";
  SamplingFlags sampling;
  eval::EvaluationOptions evaluation;
  ModelFlags model_flags;
  int threads = 0;
  bool json = false;
  bool needle = false;
  eval::NeedleOptions needles;
  std::vector<double> depths;  // in per cent; none: as NeedleOptions has them
};

std::vector<std::string> split_names(const std::string& text) {
  if (text == "all") return {};
  std::vector<std::string> names = CLI::detail::split(text, ',');
  for (const std::string& name : names) tasks::find_task(name);
  return names;
}

void run_needles(Options options) {
  eval::NeedleOptions& needles = options.needles;
  if (!options.depths.empty()) needles.depths.clear();
  for (const double percent : options.depths) needles.depths.push_back(percent / 100.0);
  options.sampling.apply(needles.sampling);
  needles.kv_storage = options.model_flags.kv_cache;
  Backend backend(thread_count(options.threads));
  const reasoning::ReasoningModel model = reasoning::load_reasoning_model(
      backend, options.model, reasoning::Prompting::kAsTrained, options.model_flags.load());

  eval::NeedleEvaluation result;
  {
    std::optional<Progress> progress;
    result =
        eval::evaluate_needles(backend, model, needles, [&](std::int64_t done, std::int64_t total) {
          if (!progress) {
            ProgressOptions shown;
            shown.unit = "texts";
            progress.emplace("needle", total, std::move(shown));
          }
          progress->update(done);
        });
  }
  const std::string json = eval::to_json(result, needles, model);
  if (!options.out.empty()) write_file_atomically(options.out, std::string_view(json));
  if (!options.svg.empty()) {
    write_file_atomically(options.svg, std::string_view(eval::to_svg(result)));
  }
  show(options.json ? json : eval::to_table(result, needles));
}

void run(Options options) {
  eval::EvaluationOptions& evaluation = options.evaluation;
  evaluation.tasks = split_names(options.tasks);
  options.sampling.apply(evaluation.sampling);
  Backend backend(thread_count(options.threads));
  const reasoning::ReasoningModel model = reasoning::load_reasoning_model(
      backend, options.model, reasoning::Prompting::kAsTrained, options.model_flags.load());
  evaluation.engine = options.model_flags.engine(EngineOptions{}.max_sequences);

  eval::Evaluation result;
  {
    std::optional<Progress> progress;
    result = eval::evaluate(backend, model, evaluation, [&](std::int64_t done, std::int64_t total) {
      if (!progress) {
        ProgressOptions shown;
        shown.unit = "samples";
        progress.emplace("eval", total, std::move(shown));
      }
      progress->update(done);
    });
  }
  const std::string json = eval::to_json(result, evaluation, model);
  if (!options.out.empty()) write_file_atomically(options.out, std::string_view(json));
  show(options.json ? json : eval::to_table(result, evaluation));
}

void add_needles(CLI::App& command, Options& options) {
  eval::NeedleOptions& needles = options.needles;
  const std::string group = "Facts in long texts";
  CLI::Option* needle =
      command
          .add_flag("--needle", options.needle,
                    "Ask for facts in long texts instead: --samples texts of each length and "
                    "depth (default: 4), --max-tokens for an answer (default: 16).")
          ->group(group);
  for (const char* other : {"--tasks", "--problems", "--resamples"}) needle->excludes(other);
  command
      .add_option("--lengths", needles.lengths,
                  "Tokens of the texts (default: 4096, 8192, ... up to the model's context).")
      ->type_name("N,N")
      ->delimiter(',')
      ->check(number_within(eval::kLeastNeedleLength, std::int64_t{1} << 24))
      ->needs(needle)
      ->group(group);
  command
      .add_option("--depths", options.depths,
                  "Where the facts lie, in per cent of the text (default: 0,25,50,75,100).")
      ->type_name("P,P")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 100.0))
      ->needs(needle)
      ->group(group);
  command.add_option("--svg", options.svg, "Write a heat map to this file.")
      ->type_name("FILE")
      ->needs(needle)
      ->group(group);
}

}  // namespace

void add_eval(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("eval", "Measure a model on held-out problems.")
                           ->group(kMeasureGroup);
  const auto options = std::make_shared<Options>();
  eval::EvaluationOptions& evaluation = options->evaluation;
  add_model(command, options->model);
  command.add_option("--tasks", options->tasks, "Families, as `r1 tasks list` names them, or all.")
      ->type_name("A,B")
      ->capture_default_str();
  command.add_option("--problems", evaluation.problems, "Held-out problems of each family.")
      ->type_name("N")
      ->check(number_within(std::int64_t{1}, eval::kMaxProblems))
      ->capture_default_str();
  command.add_option("--samples", evaluation.samples, "Completions of each problem (K).")
      ->type_name("K")
      ->check(number_within(std::int64_t{1}, eval::kMaxSamples))
      ->capture_default_str();
  command
      .add_option("--max-tokens", evaluation.max_tokens,
                  "Longest completion; 0: up to the context's end.")
      ->type_name("N")
      ->check(number_within(std::int64_t{0}, std::int64_t{1} << 30))
      ->capture_default_str();
  command.add_option("--resamples", evaluation.bootstrap.resamples, "Of the bootstrap intervals.")
      ->type_name("N")
      ->check(number_within(1000, 1'000'000))
      ->capture_default_str();
  add_sampling(command, options->sampling);
  add_json(command, options->json);
  command.add_option("--out", options->out, "Write the JSON object to this file too.")
      ->type_name("FILE");
  add_model_flags(command, options->model_flags);
  add_threads(command, options->threads);
  add_needles(command, *options);
  command.callback([options, &command] {
    if (!options->needle) return run(*options);
    eval::NeedleOptions& needles = options->needles;
    if (command.count("--samples") > 0) needles.samples = options->evaluation.samples;
    if (command.count("--max-tokens") > 0) needles.max_tokens = options->evaluation.max_tokens;
    run_needles(*options);
  });
}

}  // namespace r1::cli
