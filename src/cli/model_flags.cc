#include "cli/model_flags.h"

#include "cli/flags.h"

namespace r1::cli {
void add_model_flags(CLI::App& command, ModelFlags& flags) {
  add_choice<QuantizedProduct>(
      command, "--activations", flags.activations,
      {{"int8", QuantizedProduct::int8}, {"bf16", QuantizedProduct::bf16}},
      "How quantised weights are multiplied: int8, or bf16 with the bits of the decoded weights, "
      "as FP8 always is (default: int8).")
      ->type_name("MODE");
  add_choice<KvStorage>(command, "--kv-cache", flags.kv_cache,
                        {{"bf16", KvStorage::plain}, {"q8_0", KvStorage::q8_0}},
                        "How keys and values are kept: bf16, or q8_0 in half the memory (default: "
                        "bf16).")
      ->type_name("TYPE");
  command
      .add_option(
          "--memory", flags.memory,
          "Memory that weights may take: 16G, 800M. Experts beyond it stay in the file until a "
          "token needs them (default: no limit).")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false));
}

}  // namespace r1::cli
