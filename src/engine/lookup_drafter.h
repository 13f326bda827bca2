#pragma once

#include "engine/drafter.h"

namespace r1 {

// Proposes what followed the last tokens where they stood before, in the prompt or the completion
// (prompt lookup; Saxena 2023). The longest agreement counts, of equally long ones the latest, and
// as many tokens are proposed as agree: a short agreement may be chance.
class LookupDrafter final : public Drafter {
 public:
  void propose(const ForwardContext& ctx, const Tensor& states,
               std::span<const Draftee> draftees) override;
};

// A passage that ends as the whole text does.
struct Recurrence {
  std::int64_t next = 0;    // position after the passage
  std::int64_t length = 0;  // how many tokens agree; 0 if there are too few
};
Recurrence find_recurrence(std::span<const std::int32_t> tokens);

}  // namespace r1
