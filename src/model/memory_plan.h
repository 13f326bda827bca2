#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/weight_source.h"

namespace r1 {

// What will run beside the weights.
struct MemoryNeeds {
  std::int64_t context = 0;   // positions of each sequence; 0: all that the model has
  std::int64_t parallel = 1;  // sequences at once
};

// Bytes that a model takes once loaded for inference (Model::load), part by part, from its shapes
// and types alone.
struct MemoryPlan {
  struct Part {
    std::string name;  // "embedding", "attention", "routed experts", ...
    std::int64_t bytes = 0;
  };
  std::vector<Part> parts;  // weights by kind, and the table of rotations
  std::int64_t context = 0, parallel = 1;
  std::int64_t cache_plain = 0;  // keys and values of all sequences, in the model's precision
  std::int64_t cache_q8_0 = 0;   // the same in blocks of Q8_0; 0 where rows are no whole blocks
  std::int64_t workspace = 0;  // activations of the largest pass, logits, the program: an estimate

  // Of the routed experts, whether they can stay in the file, and the least of them that must be
  // in memory at once: those of one layer.
  bool experts_on_demand = false;
  std::int64_t routed_experts = 0, least_experts = 0;

  std::int64_t weights() const;
  std::int64_t total() const { return weights() + cache_plain + workspace; }
};

MemoryPlan plan_memory(const WeightSource& source, const MemoryNeeds& needs);

// What a machine with so much memory can do.
struct MemoryVerdict {
  enum class Kind {
    fits,           // all of it
    short_context,  // with a context of `context`
    on_demand,      // with the whole context, and `budget` bytes for weights (--memory)
    too_large,
  };
  Kind kind = Kind::too_large;
  std::int64_t context = 0, budget = 0;
};
// On demand is preferred to a context of less than half of what is asked for.
MemoryVerdict judge(const MemoryPlan& plan, std::int64_t memory);

// Bytes of memory that this machine has, or that its control group leaves to this process.
std::int64_t machine_memory();

}  // namespace r1
