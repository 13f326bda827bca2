#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "train/benchmark.h"

namespace r1::train {
namespace {

double millions(std::int64_t count) { return static_cast<double>(count) / 1e6; }

}  // namespace

std::string to_text(const BenchmarkResult& result) {
  std::string text = fmt::format(
      "{} {}: {:.2f} M parameters ({:.2f} M active, {:.2f} M in prediction modules), {}, {} "
      "threads\n",
      result.work, result.shape, millions(result.parameters.total),
      millions(result.parameters.active), millions(result.parameters.multi_token_prediction),
      name_of(result.isa), result.threads);
  if (result.sequences > 0) text += fmt::format("{} sequences at once\n", result.sequences);
  text += fmt::format(
      "{:.0f} tokens/s: {} tokens in {:.1f} ms (best {:.1f} ms), median of {} steps\n"
      "{:.1f} GFLOP/s, {:.1f} % of the multiply unit's peak of {:.1f} GFLOP/s\n",
      result.tokens_per_second(), result.tokens_per_step, result.seconds_per_step * 1e3,
      result.best_seconds * 1e3, result.steps, result.flops() / 1e9, result.share_of_peak * 100,
      result.peak_flops / 1e9);

  double total = 0;
  for (const OperationTime& time : result.operations) total += time.forward + time.backward;
  text +=
      fmt::format("\n{:<24} {:>10} {:>10} {:>7}\n", "ms per step", "forward", "backward", "share");
  for (const OperationTime& time : result.operations) {
    text += fmt::format("{:<24} {:>10.2f} {:>10.2f} {:>5.1f} %\n", time.name, time.forward * 1e3,
                        time.backward * 1e3, (time.forward + time.backward) / total * 100);
  }
  return text;
}

std::string to_json(const BenchmarkResult& result) {
  nlohmann::ordered_json operations = nlohmann::ordered_json::array();
  for (const OperationTime& time : result.operations) {
    operations.push_back({{"name", time.name},
                          {"forward_seconds", time.forward},
                          {"backward_seconds", time.backward}});
  }
  const nlohmann::ordered_json object = {
      {"work", result.work},
      {"shape", result.shape},
      {"isa", name_of(result.isa)},
      {"threads", result.threads},
      {"parameters", result.parameters.total},
      {"active_parameters", result.parameters.active},
      {"multi_token_prediction_parameters", result.parameters.multi_token_prediction},
      {"sequences", result.sequences},
      {"tokens_per_step", result.tokens_per_step},
      {"steps", result.steps},
      {"seconds_per_step", result.seconds_per_step},
      {"best_seconds_per_step", result.best_seconds},
      {"tokens_per_second", result.tokens_per_second()},
      {"flop_per_step", result.flop_per_step},
      {"flops_per_second", result.flops()},
      {"peak_flops_per_second", result.peak_flops},
      {"share_of_peak", result.share_of_peak},
      {"operations", operations}};
  return object.dump(2) + "\n";
}

}  // namespace r1::train
