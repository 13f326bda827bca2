#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/answer_printer.h"
#include "cli/chat.h"
#include "cli/commands.h"
#include "cli/expert_report.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/speculation_flags.h"
#include "cli/terminal.h"
#include "eval/speculation_benchmark.h"
#include "reasoning/ask.h"

namespace r1::cli {
namespace {

struct Options {
  std::string model;
  std::optional<std::string> prompt, system;
  SamplingFlags sampling;
  SpeculationFlags speculation;
  ModelFlags model_flags;
  std::int64_t max_tokens = 0;
  std::vector<std::string> stops;
  int threads = 0;
  bool no_template = false, json = false, log_probs = false, verbose = false;
};

void print_json(const reasoning::Answer& answer, double load_seconds, bool log_probs,
                const SpeculationStats& speculation, const ExpertReport& experts) {
  nlohmann::ordered_json object = {{"thinking", answer.thinking},
                                   {"answer", answer.answer},
                                   {"text", answer.text},
                                   {"well_formed", answer.well_formed},
                                   {"finish_reason", reasoning::name_of(answer.finish)},
                                   {"prompt_tokens", answer.prompt.size()},
                                   {"tokens", answer.tokens.size()},
                                   {"timings",
                                    {{"load_seconds", load_seconds},
                                     {"first_token_seconds", answer.first_token_seconds},
                                     {"seconds", answer.seconds},
                                     {"prompt_tokens_per_second", prompt_tokens_per_second(answer)},
                                     {"tokens_per_second", tokens_per_second(answer)}}}};
  if (speculation.passes > 0) object["speculation"] = eval::acceptance_json(speculation);
  if (experts.has_any()) object["experts"] = experts.json();
  if (log_probs) {
    object["prompt_ids"] = answer.prompt;
    object["ids"] = nlohmann::ordered_json::array();
    object["log_probs"] = nlohmann::ordered_json::array();
    for (const SampledToken& token : answer.tokens) {
      object["ids"].push_back(token.id);
      object["log_probs"].push_back(token.log_prob);
    }
  }
  show(object.dump() + "\n");
}

void answer_once(const Options& options, std::span<const text::ChatMessage> turns, Backend& backend,
                 const reasoning::ReasoningModel& model, const reasoning::AskOptions& ask_options,
                 double load_seconds) {
  const Interrupt interrupt;
  EngineOptions engine_options = options.model_flags.engine(1);
  const Speculation speculation = load_speculation(backend, options.speculation, model);
  engine_options.speculation = speculation.options;
  Engine engine(backend, *model.model, engine_options);
  const ExpertReport experts(*model.model);
  AnswerPrinter printer(stdout_has_styles(), model.form.completion());
  const reasoning::Answer answer = reasoning::ask(
      engine, model, turns, ask_options,
      [&](const text::SectionEvent& event) {
        if (!options.json) printer.print(event);
      },
      [&] { return interrupt.requested(); });
  printer.finish();
  if (options.json) {
    print_json(answer, load_seconds, options.log_probs, engine.stats().speculation, experts);
  } else if (answer.finish != FinishReason::stop) {
    fmt::print(
        stderr, "({})\n",
        answer.finish == FinishReason::length ? "cut off: no more tokens are allowed" : "stopped");
  }
  if (options.verbose) {
    fmt::print(stderr, "loaded in {:.2f} s; {}\n", load_seconds, timing_line(answer));
    if (engine.stats().speculation.passes > 0) {
      fmt::print(stderr, "{}\n", eval::acceptance_line(engine.stats().speculation));
    }
    if (experts.has_any()) fmt::print(stderr, "{}\n", experts.line());
  }
}

void tell_origin(const Options& options, const reasoning::ReasoningModel& model) {
  if (model.origin == reasoning::FormOrigin::kGuessed) {
    fmt::print(stderr,
               "note: {} carries no chat template; asking in the form of {}, whose tokens it has "
               "(--no-template goes on with the bare text)\n",
               printable(options.model), model.form.name());
  } else if (model.origin == reasoning::FormOrigin::kUnknown) {
    fmt::print(stderr,
               "note: {} does not say in which form it reads questions; going on with the bare "
               "text\n",
               printable(options.model));
  }
}

void run(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  Backend backend(thread_count(options.threads));
  const reasoning::ReasoningModel model = reasoning::load_reasoning_model(
      backend, options.model,
      options.no_template ? reasoning::Prompting::kPlain : reasoning::Prompting::kAsTrained,
      options.model_flags.load());
  const double load_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  tell_origin(options, model);
  std::vector<text::ChatMessage> turns;
  if (options.system) {
    if (!model.form.is_chat()) {
      throw UsageError("--system", fmt::format("{} has no place for it: it reads questions in the "
                                               "form \"{}\"",
                                               printable(options.model), model.form.name()));
    }
    turns.push_back({"system", *options.system});
  }
  reasoning::AskOptions ask_options{model.sampling, options.max_tokens, options.stops};
  options.sampling.apply(ask_options.sampling);
  if (!options.prompt && stdin_is_terminal()) {
    if (options.json) throw UsageError("run", "--json needs a PROMPT");
    if (options.speculation.given()) throw UsageError("run", "--speculate needs a PROMPT");
    Chat(backend, model, std::move(turns), ask_options, options.model_flags.engine(1),
         options.verbose)
        .run();
    return;
  }
  std::string prompt = options.prompt ? *options.prompt : read_stdin();
  while (prompt.ends_with('\n') || prompt.ends_with('\r')) prompt.pop_back();
  if (prompt.empty()) throw Error("prompt", "it is empty", "give a problem to solve");
  turns.push_back({"user", std::move(prompt)});
  answer_once(options, turns, backend, model, ask_options, load_seconds);
}

}  // namespace

void add_run(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("run", "Ask a model, or chat with it.")->group(kUseGroup);
  const auto options = std::make_shared<Options>();
  add_model(command, options->model);
  command.add_option("PROMPT", options->prompt,
                     "The problem. Without it: standard input, or a chat at a terminal.");
  CLI::Option* system =
      command.add_option("--system", options->system, "Instructions before the conversation.")
          ->type_name("TEXT");
  command
      .add_flag("--no-template", options->no_template,
                "Go on with the bare text, not in the form the model was trained on.")
      ->excludes(system);
  add_json(command, options->json);
  command.add_flag("--logprobs", options->log_probs,
                   "With --json: the prompt's ids, and the answer's with their log-probs.");
  command.add_flag("--verbose", options->verbose, "Tell how fast it was.");
  add_model_flags(command, options->model_flags);
  add_threads(command, options->threads);
  add_sampling(command, options->sampling);
  add_speculation(command, options->speculation);
  command
      .add_option("--max-tokens", options->max_tokens,
                  "Longest completion (default: up to the context's end).")
      ->type_name("N")
      ->check(number_within(std::int64_t{1}, std::int64_t{1} << 30))
      ->group("Sampling");
  command.add_option("--stop", options->stops, "End the answer before this text; repeatable.")
      ->type_name("TEXT")
      ->allow_extra_args(false)
      ->group("Sampling");
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
