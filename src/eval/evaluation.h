#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "eval/bootstrap.h"
#include "reasoning/reasoning_model.h"
#include "tasks/task.h"

namespace r1::eval {

inline constexpr std::int64_t kMaxProblems = 1'000'000;  // of a family
inline constexpr std::int64_t kMaxSamples = 4096;        // of a problem

struct EvaluationOptions {
  std::vector<std::string> tasks;  // families; empty: all
  std::int64_t problems = 500;     // different held-out problems of each family
  std::int64_t samples = 1;        // completions of each problem
  std::int64_t max_tokens = 512;   // of a completion; 0: up to the context's end
  tasks::ProblemOptions problem;
  // seed also draws the problems; step and sample are set for each completion.
  SamplingParams sampling;
  BootstrapOptions bootstrap;
  EngineOptions engine;
};

struct Score {
  std::int64_t problems = 0;
  // Mean over problems of the share of right samples (DeepSeek-R1, section 3).
  Interval pass_at_1;
  // Share of problems whose majority answer is right.
  Interval cons_at_k;
  double thinking_tokens = 0.0;  // mean over samples
  double completion_tokens = 0.0;
  double well_formed = 0.0;  // share of samples: one think block, then one answer block
  double truncated = 0.0;    // share of samples that max_tokens or the context ended
};

struct FamilyScore {
  std::string task;
  Score score;
};

struct Evaluation {
  std::vector<FamilyScore> families;
  Score overall;            // every family counts the same
  std::int64_t tokens = 0;  // drawn
  double seconds = 0.0;
};

// Progress: samples that are done, of how many.
using EvaluationProgress = std::function<void(std::int64_t done, std::int64_t total)>;

// Samples answers to held-out problems and grades them with their verifiers. The same options give
// the same numbers, however many families are asked for. A family that has fewer different held-out
// problems is measured on those it has. Throws Error for an unknown task, or for a problem that
// does not fit the model's context.
Evaluation evaluate(Backend& backend, const reasoning::ReasoningModel& model,
                    const EvaluationOptions& options, const EvaluationProgress& progress = {});

// Different held-out problems of a family, the first `count` of the seed's stream.
std::vector<tasks::Problem> held_out_problems(const tasks::Task& task, std::int64_t count,
                                              std::uint64_t seed,
                                              const tasks::ProblemOptions& options);

}  // namespace r1::eval
