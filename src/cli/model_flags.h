#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

#include "engine/engine.h"
#include "model/model.h"

namespace r1::cli {

// How a model is loaded and its cache kept: --activations, --kv-cache, --memory.
struct ModelFlags {
  QuantizedProduct activations = QuantizedProduct::int8;
  KvStorage kv_cache = KvStorage::plain;
  std::int64_t memory = 0;  // bytes for weights, cache and the passes' numbers; 0: no budget

  // Throws Error when the budget leaves nothing for weights.
  LoadOptions load() const;
  // For `sequences` at once; within the budget the cache takes what the contexts need, at most its
  // share.
  EngineOptions engine(const Model& model, std::int64_t sequences) const;
};
void add_model_flags(CLI::App& command, ModelFlags& flags);

}  // namespace r1::cli
