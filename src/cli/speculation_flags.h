#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "engine/speculation.h"
#include "reasoning/reasoning_model.h"

namespace r1::cli {

// How a user asks for speculative decoding.
struct SpeculationFlags {
  std::optional<DraftSource> source;
  std::string draft_model;
  std::int64_t tokens = 0;

  bool given() const { return source || !draft_model.empty(); }
};
void add_speculation(CLI::App& command, SpeculationFlags& flags);

// What an engine needs to speculate as the flags say.
struct Speculation {
  std::unique_ptr<Model> draft_model;  // null if none is needed
  SpeculationOptions options;          // refer to it
};
// Throws UsageError for flags that contradict one another, and Error for a draft model that cannot
// be read or has other tokens than the model.
Speculation load_speculation(Backend& backend, const SpeculationFlags& flags,
                             const reasoning::ReasoningModel& model);

}  // namespace r1::cli
