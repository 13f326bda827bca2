#pragma once

#include "engine/drafter.h"

namespace r1 {

// Proposes what followed the last tokens where they stood before, in the prompt or the completion
// (prompt lookup; Saxena 2023). The longest agreement counts, of equally long ones the latest.
class LookupDrafter final : public Drafter {
 public:
  void propose(const ForwardContext& ctx, const Tensor& states,
               std::span<const Draftee> draftees) override;
};

// Where in `tokens` the text goes on that agrees with its end: the position after the earlier
// occurrence, or -1 if fewer than two tokens agree.
std::int64_t find_continuation(std::span<const std::int32_t> tokens);

}  // namespace r1
