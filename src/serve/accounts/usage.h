#pragma once

#include <cstdint>

namespace r1::serve {

// More tokens than any request has, so that sums of them and their prices stay in range. Counts
// beyond it are refused at admission.
inline constexpr std::int64_t kMaxRequestTokens = 100'000'000;

// The tokens of one request, all its choices together.
struct Usage {
  std::int64_t cache_hit_tokens = 0;   // prompt tokens found in the prefix cache
  std::int64_t cache_miss_tokens = 0;  // the other prompt tokens
  std::int64_t completion_tokens = 0;  // thinking included
  std::int64_t reasoning_tokens = 0;   // of these, thinking

  std::int64_t prompt_tokens() const { return cache_hit_tokens + cache_miss_tokens; }
  std::int64_t total_tokens() const { return prompt_tokens() + completion_tokens; }
};

// How a request ended; every one of them is charged for its usage.
enum class Outcome {
  finished,   // the whole reply is about to be delivered
  cancelled,  // the client left; what was computed until then
  failed,     // the server's fault; settle it with an empty usage if the client shall not pay
};

}  // namespace r1::serve
