#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "reasoning/reasoning_model.h"

// Whether a model finds facts in long texts (tasks/needle.h), by the text's length and the fact's
// depth in it.
namespace r1::eval {

inline constexpr std::int64_t kLeastNeedleLength = 256;

struct NeedleOptions {
  // Tokens of a text with its question; none: the powers of two from 4096 up to the model's
  // context.
  std::vector<std::int64_t> lengths;
  std::vector<double> depths = {0.0, 0.25, 0.5, 0.75, 1.0};  // 0: the beginning, 1: the end
  std::int64_t samples = 4;                                  // texts of each length and depth
  std::int64_t max_tokens = 16;  // of an answer; it must have room within the context too
  SamplingParams sampling;       // seed also draws the texts
  KvStorage kv_storage = KvStorage::plain;
};

struct NeedleCell {
  std::int64_t length = 0;
  double depth = 0.0;
  std::int64_t asked = 0, found = 0;

  double recall() const { return static_cast<double>(found) / static_cast<double>(asked); }
};

struct NeedleEvaluation {
  std::vector<std::int64_t> lengths;
  std::vector<double> depths;
  std::vector<NeedleCell> cells;  // [lengths][depths]
  std::vector<double> seconds;    // [lengths], per text

  const NeedleCell& cell(std::size_t length, std::size_t depth) const {
    return cells[length * depths.size() + depth];
  }
};

// Each text holds one held-out fact. Throws Error for lengths that are too short or beyond the
// model's context, before anything is read.
NeedleEvaluation evaluate_needles(
    Backend& backend, const reasoning::ReasoningModel& model, const NeedleOptions& options,
    const std::function<void(std::int64_t done, std::int64_t total)>& progress = {});

// For people: recall by length and depth in per cent.
std::string to_table(const NeedleEvaluation& evaluation, const NeedleOptions& options);
// For programs: the options and every cell.
std::string to_json(const NeedleEvaluation& evaluation, const NeedleOptions& options,
                    const reasoning::ReasoningModel& model);
// A heat map as an SVG document.
std::string to_svg(const NeedleEvaluation& evaluation);

}  // namespace r1::eval
