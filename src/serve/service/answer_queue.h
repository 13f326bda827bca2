#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/request.h"
#include "serve/api_error.h"
#include "text/thinking_parser.h"

namespace r1::serve {

// One token of a completion, as a reader may ask to see it.
struct AnswerToken {
  std::int32_t id = -1;
  float log_prob = 0.0f, entropy = 0.0f;
  std::vector<TokenAlternative> alternatives;
  text::SectionKind section = text::SectionKind::kOther;
  bool tag = false;  // no part of any text
};

struct AnswerEnding {
  FinishReason reason = FinishReason::stop;
  std::string stop;  // the stop string that ended it, if one did
};

// What happens to a request, in order. Seconds count from its submission.
struct AnswerStarted {
  std::int64_t cached_tokens = 0;  // of the prompt
  double queue_seconds = 0.0, load_seconds = 0.0, prefill_seconds = 0.0;
};
// Of the prompt: log_probs[i] is that of token i + 1 (AnswerToken::id) given those before.
struct PromptScored {
  std::vector<AnswerToken> tokens;
};
struct AnswerProgress {
  std::size_t sample = 0;
  std::optional<AnswerToken> token;
  std::vector<text::SectionEvent> pieces;  // what became certain
  std::optional<AnswerEnding> ending;
  double seconds = 0.0;
};
struct AnswerFailed {
  ApiError error;
};
using AnswerItem = std::variant<AnswerStarted, PromptScored, AnswerProgress, AnswerFailed>;

// Between the thread that computes and the connection that sends. A slow reader costs no more than
// the bound: beyond it the answer is given up.
class AnswerQueue {
 public:
  // wake: called, from the computing thread, when there is something to take; must not block.
  AnswerQueue(std::size_t max_bytes, std::function<void()> wake)
      : max_bytes_(max_bytes), wake_(std::move(wake)) {}

  // False once nobody reads any more.
  bool push(AnswerItem item);
  std::vector<AnswerItem> take();

  // The reader is gone: the computing thread drops the request at its next step.
  void abandon() { abandoned_ = true; }
  bool abandoned() const { return abandoned_; }
  bool overflowed() const { return overflowed_; }

 private:
  const std::size_t max_bytes_;
  const std::function<void()> wake_;
  std::atomic<bool> abandoned_ = false, overflowed_ = false;
  std::mutex mutex_;
  std::vector<AnswerItem> items_;
  std::size_t bytes_ = 0;
};

}  // namespace r1::serve
