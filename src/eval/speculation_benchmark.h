#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/engine.h"
#include "reasoning/reasoning_model.h"

// What speculative decoding is worth for a model: held-out problems of all families are answered
// with and without it by turns, so that both sides meet the same moods of a shared machine, and the
// quotient of each pair is taken. Reading the prompts is not timed.
namespace r1::eval {

struct SpeculationBenchmarkOptions {
  SpeculationOptions speculation;
  SamplingParams sampling;
  std::int64_t sequences = 1;  // answered at once
  std::int64_t max_tokens = 192;
  double seconds = 10.0;   // pairs are made for so long
  std::int64_t pairs = 0;  // or exactly so many; 0: as time allows, at least 3
};

struct SpeculationBenchmarkResult {
  std::int64_t sequences = 0, pairs = 0;
  std::int64_t tokens = 0;                    // drawn by each side, the first ones apart
  std::int64_t plain_passes = 0, passes = 0;  // that it took, without and with speculation
  double plain_seconds = 0, speculation_seconds = 0;
  double speed_up = 0;                            // median of the pairs' quotients
  double lower_quartile = 0, upper_quartile = 0;  // of the same
  SpeculationStats speculation;
};

// Throws Error if the drafter does not fit the model, or if a completion differs by one bit from
// the one without speculation.
SpeculationBenchmarkResult benchmark_speculation(Backend& backend,
                                                 const reasoning::ReasoningModel& model,
                                                 const SpeculationBenchmarkOptions& options);

std::string to_text(const SpeculationBenchmarkResult& result);
std::string to_json(const SpeculationBenchmarkResult& result);

// "accepted 123 of 200 proposals (61.5 %), by place 71.0 %, 52.0 %"
std::string acceptance_line(const SpeculationStats& stats);
nlohmann::ordered_json acceptance_json(const SpeculationStats& stats);

}  // namespace r1::eval
