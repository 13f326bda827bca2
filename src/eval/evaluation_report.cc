#include "eval/evaluation_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace r1::eval {
namespace {

using nlohmann::ordered_json;

std::string percent(const Interval& interval) {
  return fmt::format("{:5.1f} [{:5.1f}, {:5.1f}]", 100.0 * interval.value, 100.0 * interval.low,
                     100.0 * interval.high);
}

std::string row(std::string_view name, const Score& score) {
  return fmt::format("{:<12} {:>8}  {:>22}  {:>22}  {:>8.1f}  {:>9.1f}%  {:>8.1f}%\n", name,
                     score.problems, percent(score.pass_at_1), percent(score.cons_at_k),
                     score.thinking_tokens, 100.0 * score.well_formed, 100.0 * score.truncated);
}

ordered_json to_object(const Score& score, std::int64_t samples) {
  return {{"problems", score.problems},
          {"samples", score.problems * samples},
          {"pass_at_1", score.pass_at_1.value},
          {"pass_at_1_interval", {score.pass_at_1.low, score.pass_at_1.high}},
          {"cons_at_k", score.cons_at_k.value},
          {"cons_at_k_interval", {score.cons_at_k.low, score.cons_at_k.high}},
          {"mean_thinking_tokens", score.thinking_tokens},
          {"mean_completion_tokens", score.completion_tokens},
          {"well_formed", score.well_formed},
          {"truncated", score.truncated}};
}

}  // namespace

std::string to_table(const Evaluation& evaluation, const EvaluationOptions& options) {
  std::string table =
      fmt::format("{:<12} {:>8}  {:>22}  {:>22}  {:>8}  {:>10}  {:>9}\n", "task", "problems",
                  "pass@1 % [interval]", fmt::format("cons@{} % [interval]", options.samples),
                  "thinking", "well formed", "truncated");
  for (const FamilyScore& family : evaluation.families) table += row(family.task, family.score);
  table += row("overall", evaluation.overall);
  table += fmt::format(
      "{} samples per problem at temperature {:g}, seed {}; {:g}% bootstrap intervals; thinking in "
      "tokens; {} tokens in {:.1f} s\n",
      options.samples, options.sampling.temperature, options.sampling.seed,
      100.0 * options.bootstrap.confidence, evaluation.tokens, evaluation.seconds);
  return table;
}

std::string to_json(const Evaluation& evaluation, const EvaluationOptions& options,
                    const reasoning::ReasoningModel& model) {
  ordered_json families = ordered_json::object();
  for (const FamilyScore& family : evaluation.families) {
    families[family.task] = to_object(family.score, options.samples);
  }
  const ordered_json document = {{"model", model.directory.string()},
                                 {"prompt_template", model.form.name()},
                                 {"split", "held-out"},
                                 {"problems_per_task", options.problems},
                                 {"samples_per_problem", options.samples},
                                 {"temperature", options.sampling.temperature},
                                 {"top_k", options.sampling.top_k},
                                 {"top_p", options.sampling.top_p},
                                 {"min_p", options.sampling.min_p},
                                 {"repetition_penalty", options.sampling.repetition_penalty},
                                 {"max_tokens", options.max_tokens},
                                 {"seed", options.sampling.seed},
                                 {"confidence", options.bootstrap.confidence},
                                 {"resamples", options.bootstrap.resamples},
                                 {"overall", to_object(evaluation.overall, options.samples)},
                                 {"tasks", std::move(families)},
                                 {"tokens", evaluation.tokens},
                                 {"seconds", evaluation.seconds}};
  return document.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace r1::eval
