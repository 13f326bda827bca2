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
  std::int64_t memory = 0;  // bytes for weights; 0: no budget

  LoadOptions load() const { return {.quantized = activations, .memory = memory}; }
  EngineOptions engine(std::int64_t sequences) const {
    return {.max_sequences = sequences, .kv_storage = kv_cache};
  }
};
void add_model_flags(CLI::App& command, ModelFlags& flags);

}  // namespace r1::cli
