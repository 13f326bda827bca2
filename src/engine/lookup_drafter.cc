#include "engine/lookup_drafter.h"

namespace r1 {
namespace {

constexpr std::int64_t kShortestMatch = 2, kLongestMatch = 8;

}  // namespace

std::int64_t find_continuation(std::span<const std::int32_t> tokens) {
  const std::int64_t size = std::ssize(tokens);
  const auto token = [&](std::int64_t i) { return tokens[static_cast<std::size_t>(i)]; };
  std::int64_t best = -1, best_length = kShortestMatch - 1;
  for (std::int64_t end = size - 1; end > best_length && best_length < kLongestMatch; --end) {
    std::int64_t length = 0;
    while (length < std::min(end, kLongestMatch) &&
           token(end - 1 - length) == token(size - 1 - length)) {
      ++length;
    }
    if (length <= best_length) continue;
    best = end;
    best_length = length;
  }
  return best;
}

void LookupDrafter::propose(const ForwardContext& /*ctx*/, const Tensor& /*states*/,
                            std::span<const Draftee> draftees) {
  for (const Draftee& draftee : draftees) {
    if (draftee.wanted == 0) continue;
    std::vector<std::int32_t>& tokens = draftee.sequence->tokens;
    const std::int64_t from = find_continuation(tokens);
    if (from < 0) continue;
    // Past its end the text goes on with what was just proposed: a repetition repeats.
    for (std::int64_t i = 0; i < draftee.wanted; ++i) {
      tokens.push_back(tokens[static_cast<std::size_t>(from + i)]);
    }
    draftee.sequence->drafted = draftee.wanted;
  }
}

}  // namespace r1
