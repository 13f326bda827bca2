#include "eval/speculation_benchmark.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tasks/task.h"

namespace r1::eval {
namespace {

constexpr std::int64_t kLeastPairs = 3;
constexpr std::uint64_t kProblemSeed = 4242;

// An engine, and what it took to answer.
struct Side {
  std::unique_ptr<Engine> engine;
  std::vector<double> seconds;  // of each pair
  std::int64_t tokens = 0, passes = 0;
  std::vector<Completion> completions;  // of the newest pair

  void answer(const std::vector<Request>& requests) {
    using Clock = std::chrono::steady_clock;
    completions.assign(requests.size(), {});
    std::map<RequestId, std::size_t> places;
    for (std::size_t i = 0; i < requests.size(); ++i) places[engine->submit(requests[i])] = i;
    std::size_t begun = 0;
    const auto step = [&] {
      for (Engine::Event& event : engine->step()) {
        if (event.token.id < 0) throw Error("model", event.error);
        Completion& completion = completions[places.at(event.id)];
        begun += completion.tokens.empty();
        completion.tokens.push_back(event.token);
      }
    };
    while (begun < requests.size()) step();
    const std::int64_t steps = engine->stats().steps;
    for (const Completion& completion : completions) tokens -= std::ssize(completion.tokens);
    const Clock::time_point start = Clock::now();
    while (!engine->idle()) step();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    for (const Completion& completion : completions) tokens += std::ssize(completion.tokens);
    passes += engine->stats().steps - steps;
  }
};

std::vector<Request> make_requests(const reasoning::ReasoningModel& model,
                                   const SpeculationBenchmarkOptions& options, std::int64_t pair) {
  const auto& families = tasks::all_tasks();
  std::vector<Request> requests;
  for (std::int64_t i = 0; i < options.sequences; ++i) {
    const auto number = static_cast<std::uint64_t>(pair * options.sequences + i);
    const tasks::Task& family = *families[number % families.size()];
    const tasks::Problem problem =
        family.generate(tasks::Split::kHeldOut, kProblemSeed, number / families.size());
    Request request;
    request.prompt = model.form.prompt(model.pose(problem.question)).ids;
    request.sampling = options.sampling;
    request.sampling.sample = static_cast<std::uint32_t>(number);
    request.max_tokens = options.max_tokens;
    request.stop_tokens = model.end_ids;
    requests.push_back(std::move(request));
  }
  return requests;
}

void require_same(const std::vector<Completion>& found, const std::vector<Completion>& wanted) {
  const auto same = [](const SampledToken& a, const SampledToken& b) {
    return a.id == b.id &&
           std::bit_cast<std::uint32_t>(a.log_prob) == std::bit_cast<std::uint32_t>(b.log_prob) &&
           std::bit_cast<std::uint32_t>(a.entropy) == std::bit_cast<std::uint32_t>(b.entropy);
  };
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (!std::ranges::equal(found[i].tokens, wanted[i].tokens, same)) {
      throw Error("speculation", fmt::format("completion {} is not the one without it", i));
    }
  }
}

double quantile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

double sum(const std::vector<double>& numbers) {
  double total = 0;
  for (const double number : numbers) total += number;
  return total;
}

}  // namespace

SpeculationBenchmarkResult benchmark_speculation(Backend& backend,
                                                 const reasoning::ReasoningModel& model,
                                                 const SpeculationBenchmarkOptions& options) {
  Side plain, speculating;
  EngineOptions engine_options;
  engine_options.max_sequences = options.sequences;
  plain.engine = std::make_unique<Engine>(backend, *model.model, engine_options);
  engine_options.speculation = options.speculation;
  speculating.engine = std::make_unique<Engine>(backend, *model.model, engine_options);

  std::vector<double> quotients;
  for (std::int64_t pair = 0;; ++pair) {
    const bool enough = options.pairs > 0
                            ? pair >= options.pairs
                            : pair >= kLeastPairs &&
                                  sum(plain.seconds) + sum(speculating.seconds) >= options.seconds;
    if (enough) break;
    const std::vector<Request> requests = make_requests(model, options, pair);
    for (const int turn : {0, 1}) {
      ((pair + turn) % 2 == 0 ? plain : speculating).answer(requests);
    }
    require_same(speculating.completions, plain.completions);
    // Where the first token was the last there is nothing to compare.
    if (plain.seconds.back() > 0 && speculating.seconds.back() > 0) {
      quotients.push_back(plain.seconds.back() / speculating.seconds.back());
    }
  }
  std::ranges::sort(quotients);
  if (quotients.empty()) throw Error("speculation", "every answer is a single token");

  SpeculationBenchmarkResult result;
  result.sequences = options.sequences;
  result.pairs = std::ssize(quotients);
  result.tokens = speculating.tokens;
  result.passes = speculating.passes;
  result.plain_passes = plain.passes;
  result.plain_seconds = sum(plain.seconds);
  result.speculation_seconds = sum(speculating.seconds);
  result.speed_up = quantile(quotients, 0.5);
  result.lower_quartile = quantile(quotients, 0.25);
  result.upper_quartile = quantile(quotients, 0.75);
  result.speculation = speculating.engine->stats().speculation;
  return result;
}

std::string acceptance_line(const SpeculationStats& stats) {
  const auto percent = [](std::int64_t part, std::int64_t whole) {
    return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  std::string text =
      fmt::format("accepted {} of {} proposals ({:.1f} %)", stats.total_accepted(),
                  stats.total_drafted(), percent(stats.total_accepted(), stats.total_drafted()));
  for (std::size_t i = 0; i < stats.drafted.size(); ++i) {
    text += fmt::format("{}{:.1f} %", i == 0 ? ", by place " : ", ",
                        percent(stats.accepted[i], stats.drafted[i]));
  }
  return text;
}

nlohmann::ordered_json acceptance_json(const SpeculationStats& stats) {
  return {{"passes", stats.passes}, {"drafted", stats.drafted}, {"accepted", stats.accepted}};
}

std::string to_text(const SpeculationBenchmarkResult& result) {
  const auto rate = [&](double seconds) { return static_cast<double>(result.tokens) / seconds; };
  return fmt::format(
      "{} sequences at once, {} pairs, {} tokens, all the same bits with speculation\n"
      "{:.0f} tokens/s without, {:.0f} with; speed-up {:.2f} (median of the pairs; quartiles "
      "{:.2f} "
      "to {:.2f})\n"
      "passes {} without, {} with; {}\n",
      result.sequences, result.pairs, result.tokens, rate(result.plain_seconds),
      rate(result.speculation_seconds), result.speed_up, result.lower_quartile,
      result.upper_quartile, result.plain_passes, result.passes,
      acceptance_line(result.speculation));
}

std::string to_json(const SpeculationBenchmarkResult& result) {
  const nlohmann::ordered_json object = {{"sequences", result.sequences},
                                         {"pairs", result.pairs},
                                         {"tokens", result.tokens},
                                         {"plain_seconds", result.plain_seconds},
                                         {"speculation_seconds", result.speculation_seconds},
                                         {"speed_up", result.speed_up},
                                         {"lower_quartile", result.lower_quartile},
                                         {"upper_quartile", result.upper_quartile},
                                         {"plain_passes", result.plain_passes},
                                         {"passes", result.passes},
                                         {"speculation", acceptance_json(result.speculation)}};
  return object.dump(2) + "\n";
}

}  // namespace r1::eval
