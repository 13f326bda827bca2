#include "serve/accounts/refusal.h"

#include <fmt/format.h>

namespace r1::serve {
namespace {

// As OpenAI writes durations: "6m0s", "1.25s", "20ms".
std::string duration(std::chrono::milliseconds time) {
  const std::int64_t all = time.count();
  if (all < 1000) return fmt::format("{}ms", all);
  const std::int64_t minutes = all / 60'000, rest = all % 60'000;
  std::string seconds = fmt::format("{}", rest / 1000);
  if (rest % 1000 != 0) {
    seconds += fmt::format(".{:03}", rest % 1000);
    seconds.erase(seconds.find_last_not_of('0') + 1);
  }
  return minutes > 0 ? fmt::format("{}m{}s", minutes, seconds) : seconds + "s";
}

}  // namespace

std::vector<std::pair<std::string, std::string>> RateLimits::headers() const {
  std::vector<std::pair<std::string, std::string>> all;
  const auto add = [&all](const std::optional<RateLimit>& rate, std::string_view of) {
    if (!rate) return;
    all.emplace_back(fmt::format("x-ratelimit-limit-{}", of), fmt::format("{}", rate->limit));
    all.emplace_back(fmt::format("x-ratelimit-remaining-{}", of),
                     fmt::format("{}", rate->remaining));
    all.emplace_back(fmt::format("x-ratelimit-reset-{}", of), duration(rate->until_full));
  };
  add(requests, "requests");
  add(tokens, "tokens");
  return all;
}

}  // namespace r1::serve
