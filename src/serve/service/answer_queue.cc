#include "serve/service/answer_queue.h"

#include <utility>

namespace r1::serve {
namespace {

std::size_t bytes_of(const AnswerItem& item) {
  std::size_t bytes = sizeof(AnswerItem);
  if (const auto* progress = std::get_if<AnswerProgress>(&item)) {
    for (const text::SectionEvent& piece : progress->pieces) bytes += piece.text.size();
    if (progress->token) {
      bytes += progress->token->alternatives.size() * sizeof(TokenAlternative);
    }
  }
  return bytes;
}

}  // namespace

bool AnswerQueue::push(AnswerItem item) {
  if (abandoned_) return false;
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = items_.empty();
    bytes_ += bytes_of(item);
    if (bytes_ > max_bytes_) {
      overflowed_ = abandoned_ = true;
      items_.clear();
    } else {
      items_.push_back(std::move(item));
    }
  }
  if (was_empty || overflowed_) wake_();
  return !abandoned_;
}

std::vector<AnswerItem> AnswerQueue::take() {
  const std::lock_guard lock(mutex_);
  bytes_ = 0;
  return std::exchange(items_, {});
}

}  // namespace r1::serve
