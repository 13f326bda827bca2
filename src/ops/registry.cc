#include "ops/registry.h"

#include <array>

namespace r1 {

std::span<const OpInfo> registered_ops() {
  static constexpr auto kOps = std::to_array<OpInfo>({
      {"embedding", ""},
      {"select_rows", ""},
      {"add", ""},
      {"rms_norm", ""},
      {"swiglu", ""},
      {"concat_columns", ""},
      {"slice_columns", ""},
      {"linear", ""},
      {"latent_queries", ""},
      {"latent_values", ""},
      {"rope", ""},
      {"latent_attention", ""},
      {"grouped_attention", ""},
      {"route", ""},
      {"sequence_balance_loss", ""},
      {"experts", ""},
      {"token_log_probs", ""},
      {"weighted_sum", ""},
      {"recomputed", ""},
      {"route.experts", "a choice among experts has no derivative"},
      {"token_log_probs.entropy", "measured, never optimised"},
  });
  return kOps;
}

}  // namespace r1
