#include "cli/model_flags.h"

#include <algorithm>

#include "base/error.h"
#include "cli/flags.h"

namespace r1::cli {
namespace {

// Of a budget, what the cache may take at most, and what the numbers of a pass take besides.
constexpr std::int64_t kCacheShare = 8;
constexpr std::int64_t kPassBytes = std::int64_t{256} << 20;

}  // namespace

LoadOptions ModelFlags::load() const {
  LoadOptions options;
  options.quantized = activations;
  if (memory == 0) return options;
  options.memory = memory - memory / kCacheShare - kPassBytes;
  if (options.memory <= 0) {
    throw Error("--memory", fmt::format("{} bytes leave nothing for weights", memory),
                "allow more");
  }
  return options;
}

EngineOptions ModelFlags::engine(const Model& model, std::int64_t sequences) const {
  EngineOptions options;
  options.max_sequences = sequences;
  options.kv_storage = kv_cache;
  if (memory == 0) return options;
  const ModelConfig& config = model.config();
  const std::int64_t page = KvCache::bytes_per_page(config.num_hidden_layers, config.kv_row_size(),
                                                    model.precision(), kv_cache);
  const std::int64_t contexts =
      (config.max_position_embeddings + kPageTokens - 1) / kPageTokens * sequences;
  options.pages = std::max<std::int64_t>(std::min(contexts, memory / kCacheShare / page), 1);
  return options;
}

void add_model_flags(CLI::App& command, ModelFlags& flags) {
  add_choice<QuantizedProduct>(
      command, "--activations", flags.activations,
      {{"int8", QuantizedProduct::int8}, {"bf16", QuantizedProduct::bf16}},
      "How quantised weights are multiplied: int8, or bf16 with the bits of the decoded weights "
      "(default: int8).")
      ->type_name("MODE");
  add_choice<KvStorage>(command, "--kv-cache", flags.kv_cache,
                        {{"bf16", KvStorage::plain}, {"q8_0", KvStorage::q8_0}},
                        "How keys and values are kept: bf16, or q8_0 in half the memory (default: "
                        "bf16).")
      ->type_name("TYPE");
  command
      .add_option(
          "--memory", flags.memory,
          "Memory to use: 16G, 800M. Experts beyond it stay in the file until a token needs "
          "them (default: no limit).")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false));
}

}  // namespace r1::cli
