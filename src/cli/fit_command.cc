#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/terminal.h"
#include "model/memory_plan.h"
#include "model/published_shapes.h"
#include "model/random_weights.h"

namespace r1::cli {
namespace {

struct Options {
  std::string model, shape, type = "q8_0";
  std::int64_t context = 0, parallel = 1, memory = 0;
  bool json = false;
};

std::string verdict_text(const MemoryPlan& plan, const MemoryVerdict& verdict) {
  using Kind = MemoryVerdict::Kind;
  switch (verdict.kind) {
    case Kind::fits:
      return "fits";
    case Kind::short_context:
      return fmt::format("fits with a context of {} tokens per sequence", verdict.context);
    case Kind::on_demand:
      return fmt::format(
          "fits with --memory {}M: experts beyond it stay in the file and are read on demand",
          verdict.budget / 1'000'000);
    case Kind::too_large:
      break;
  }
  return plan.experts_on_demand ? "does not fit, even with experts read on demand"
                                : "does not fit; a smaller quantisation may";
}

std::string_view verdict_name(MemoryVerdict::Kind kind) {
  using Kind = MemoryVerdict::Kind;
  switch (kind) {
    case Kind::fits:
      return "fits";
    case Kind::short_context:
      return "short_context";
    case Kind::on_demand:
      return "on_demand";
    case Kind::too_large:
      break;
  }
  return "too_large";
}

void print_json(const MemoryPlan& plan, const MemoryVerdict& verdict, std::int64_t memory) {
  nlohmann::ordered_json weights;
  for (const MemoryPlan::Part& part : plan.parts) weights[part.name] = part.bytes;
  nlohmann::ordered_json object = {{"weights", std::move(weights)},
                                   {"weight_bytes", plan.weights()},
                                   {"context", plan.context},
                                   {"parallel", plan.parallel},
                                   {"cache_bytes", plan.cache_plain},
                                   {"cache_q8_0_bytes", plan.cache_q8_0},
                                   {"workspace_bytes", plan.workspace},
                                   {"total_bytes", plan.total()},
                                   {"memory_bytes", memory},
                                   {"verdict", verdict_name(verdict.kind)}};
  if (verdict.context > 0) object["fitting_context"] = verdict.context;
  if (verdict.budget > 0) object["memory_for_weights"] = verdict.budget;
  show(object.dump(2) + "\n");
}

void print_table(const MemoryPlan& plan, const MemoryVerdict& verdict, std::int64_t memory) {
  const auto line = [](std::string_view name, std::int64_t bytes, std::string_view note = {}) {
    fmt::print("{:<18} {:>10}{}{}\n", name, format_bytes(bytes), note.empty() ? "" : "  ", note);
  };
  for (const MemoryPlan::Part& part : plan.parts) {
    const bool on_demand = part.name == "routed experts" && plan.experts_on_demand;
    line(part.name, part.bytes,
         on_demand ? fmt::format("at least {} with --memory", format_bytes(plan.least_experts))
                   : "");
  }
  const std::string sequences =
      plan.parallel == 1 ? "" : fmt::format("{} sequences of ", plan.parallel);
  line("keys and values", plan.cache_plain,
       fmt::format("{}{} tokens{}", sequences, plan.context,
                   plan.cache_q8_0 == 0
                       ? ""
                       : fmt::format("; {} in 8 bits", format_bytes(plan.cache_q8_0))));
  line("workspace", plan.workspace, "an estimate");
  line("together", plan.total(), fmt::format("of {}", format_bytes(memory)));
  fmt::print("{}\n", verdict_text(plan, verdict));
}

void run(const Options& options) {
  if (options.model.empty() == options.shape.empty()) {
    throw UsageError("fit", "there is nothing to plan", "name a MODEL, or a --shape");
  }
  std::unique_ptr<WeightSource> source;
  if (options.shape.empty()) {
    source = WeightSource::open(options.model);
  } else {
    source = RandomWeights::of_type(published_shape(options.shape), options.type);
  }
  const MemoryPlan plan = plan_memory(*source, {options.context, options.parallel});
  const std::int64_t memory = options.memory > 0 ? options.memory : machine_memory();
  const MemoryVerdict verdict = judge(plan, memory);
  options.json ? print_json(plan, verdict, memory) : print_table(plan, verdict, memory);
}

}  // namespace

void add_fit(CLI::App& program) {
  CLI::App& command =
      *program
           .add_subcommand("fit", "Tell before loading what memory a model takes, part by part.")
           ->group(kUseGroup);
  const auto options = std::make_shared<Options>();
  add_model(command, options->model)->required(false);
  command
      .add_option("--shape", options->shape,
                  fmt::format("Or a shape without its weights: {}.",
                              fmt::join(published_shape_names(), ", ")))
      ->type_name("NAME");
  command
      .add_option("--type", options->type,
                  "Type of the shape's weights: fp8, bf16, q8_0, q4_k_m, ...")
      ->type_name("TYPE")
      ->capture_default_str();
  const CLI::Validator count = number_within(std::int64_t{1}, std::int64_t{1} << 24);
  command.add_option("--context", options->context, "Tokens of a sequence (default: all it can).")
      ->type_name("N")
      ->check(count);
  command.add_option("--parallel", options->parallel, "Sequences at once.")
      ->type_name("N")
      ->check(number_within(std::int64_t{1}, std::int64_t{4096}))
      ->capture_default_str();
  command
      .add_option("--memory", options->memory, "Memory to fit into: 16G (default: the machine's).")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false));
  add_json(command, options->json);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
