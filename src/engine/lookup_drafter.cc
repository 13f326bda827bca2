#include "engine/lookup_drafter.h"

#include <algorithm>

namespace r1 {
namespace {

constexpr std::int64_t kShortest = 3, kLongest = kMaxDraftTokens;

}  // namespace

Recurrence find_recurrence(std::span<const std::int32_t> tokens) {
  const std::int64_t size = std::ssize(tokens);
  const auto token = [&](std::int64_t i) { return tokens[static_cast<std::size_t>(i)]; };
  Recurrence best;
  for (std::int64_t next = size - 1; next > best.length && best.length < kLongest; --next) {
    const std::int64_t longest = std::min(next, kLongest);
    std::int64_t length = 0;
    while (length < longest && token(next - 1 - length) == token(size - 1 - length)) ++length;
    if (length >= kShortest && length > best.length) best = {next, length};
  }
  return best;
}

void LookupDrafter::propose(const ForwardContext& /*ctx*/, const Tensor& /*states*/,
                            std::span<const Draftee> draftees) {
  for (const Draftee& draftee : draftees) {
    if (draftee.wanted == 0) continue;
    std::vector<std::int32_t>& tokens = draftee.sequence->tokens;
    const Recurrence found = find_recurrence(tokens);
    const std::int64_t count = std::min(draftee.wanted, found.length);
    // Past its end the text goes on with what was just proposed: a repetition repeats.
    for (std::int64_t i = 0; i < count; ++i) {
      tokens.push_back(tokens[static_cast<std::size_t>(found.next + i)]);
    }
    draftee.sequence->drafted = count;
  }
}

}  // namespace r1
