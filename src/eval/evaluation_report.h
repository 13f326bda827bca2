#pragma once

#include <string>

#include "eval/evaluation.h"

namespace r1::eval {

// For people: one line per family and one for all, in columns, percentages with their intervals.
std::string to_table(const Evaluation& evaluation, const EvaluationOptions& options);

// For programs: the options, and every number of the evaluation. Shares are from 0 to 1.
std::string to_json(const Evaluation& evaluation, const EvaluationOptions& options,
                    const reasoning::ReasoningModel& model);

}  // namespace r1::eval
