#include "engine/scheduler.h"

#include <algorithm>

#include "backend/attention_kernels.h"
#include "base/error.h"

namespace r1 {
namespace {

std::int64_t pages_for(std::int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

template <typename Queue>
auto place_of(Queue& queue, RequestId id) {
  return std::ranges::lower_bound(queue, id, {}, [](const auto& sequence) { return sequence->id; });
}

// What a sequence can take from others: all but its last token, whose states the first draw needs.
std::span<const std::int32_t> shareable(const Sequence& sequence) {
  return std::span(sequence.tokens).first(sequence.tokens.size() - 1);
}

}  // namespace

Scheduler::Scheduler(PagePool& pool, const EngineOptions& options, EngineStats& stats,
                     CopyRows copy_rows)
    : pool_(pool), options_(options), stats_(stats), copy_rows_(std::move(copy_rows)) {}

void Scheduler::submit(std::unique_ptr<Sequence> sequence) {
  R1_CHECK(waiting_.empty() || waiting_.back()->id < sequence->id, "id {} after {}", sequence->id,
           waiting_.back()->id);
  waiting_.push_back(std::move(sequence));
}

bool Scheduler::remove(RequestId id) {
  if (const auto at = place_of(running_, id); at != running_.end() && (*at)->id == id) {
    pool_.release((*at)->run);
    running_.erase(at);
    return true;
  }
  if (const auto at = place_of(waiting_, id); at != waiting_.end() && (*at)->id == id) {
    waiting_.erase(at);
    return true;
  }
  return false;
}

std::span<Scheduler::Item> Scheduler::plan() {
  plan_.clear();
  const std::int64_t preemptions = stats_.preemptions;
  take_pages();
  std::int64_t rows = options_.max_batch_rows;
  for (const auto& sequence : running_) {
    if (rows == 0) break;
    if (sequence->remaining() > 1) continue;
    plan_.push_back({sequence.get(), 1, true});
    --rows;
  }
  // Proposals are verified as far as there is room when all who decode have their row.
  for (Item& item : plan_) {
    Sequence& sequence = *item.sequence;
    if (sequence.drafted > rows) sequence.shorten_draft(rows);
    item.rows += sequence.drafted;
    rows -= sequence.drafted;
  }
  for (const auto& sequence : running_) {
    if (rows == 0) break;
    if (sequence->remaining() == 1) continue;
    const std::int64_t chunk = std::min({sequence->remaining(), options_.prefill_chunk, rows});
    plan_.push_back({sequence.get(), chunk, chunk == sequence->remaining()});
    rows -= chunk;
  }
  if (stats_.preemptions == preemptions) admit(rows);
  stats_.pages_used_peak = std::max(stats_.pages_used_peak, pool_.referenced());
  return plan_;
}

std::int64_t Scheduler::reserve(Sequence& sequence, std::int64_t wanted) {
  // The last token is drawn, never computed.
  wanted = std::min(wanted, sequence.limit - 1 - sequence.size());
  const std::int64_t pages = pages_for(sequence.size() + wanted);
  const std::int64_t missing = pages - std::ssize(sequence.run.pages);
  if (missing > 0 &&
      (pool_.available() < missing + std::ssize(running_) || !pool_.grow(sequence.run, pages))) {
    wanted = std::ssize(sequence.run.pages) * kPageTokens - sequence.size();
  }
  return std::max<std::int64_t>(0, wanted);
}

void Scheduler::advance() {
  for (const Item& item : plan_) {
    Sequence& sequence = *item.sequence;
    const bool in_prompt = sequence.computed < sequence.prompt_size;
    (in_prompt ? stats_.prefill_rows : stats_.decode_rows) += item.rows;
    sequence.computed += item.kept;
    const auto known = sequence.part(0, sequence.computed);
    pool_.publish(sequence.run, known);
    if (in_prompt && item.draws) pool_.publish_tail(sequence.run, known);
    pool_.shrink(sequence.run, pages_for(std::ssize(sequence.tokens)));
    if (item.finished) remove(sequence.id);
  }
  plan_.clear();
}

void Scheduler::start_over() {
  while (!running_.empty()) preempt_youngest();
  pool_.forget();
}

// Every running sequence gets the page that its next token needs, the oldest first.
void Scheduler::take_pages() {
  for (std::size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = *running_[i];
    // When the youngest is this one itself, it leaves and the loop ends.
    while (i < running_.size() && !pool_.grow(sequence.run, pages_for(sequence.size()))) {
      preempt_youngest();
    }
  }
}

void Scheduler::admit(std::int64_t rows) {
  // One that waits for another to read what both need keeps its slot, so few are looked at.
  std::int64_t kept_slots = 0;
  for (auto next = waiting_.begin(); next != waiting_.end() && rows > 0;) {
    if (std::ssize(running_) + kept_slots >= options_.max_sequences) return;
    Sequence& sequence = **next;
    const PagePool::Prefix prefix = pool_.find(shareable(sequence));
    if (should_wait(sequence, prefix.tokens())) {
      ++kept_slots;
      ++next;
      continue;
    }
    if (!place(sequence, prefix)) return;
    const std::int64_t chunk = std::min({sequence.remaining(), options_.prefill_chunk, rows});
    plan_.push_back({&sequence, chunk, chunk == sequence.remaining()});
    rows -= chunk;
    running_.insert(place_of(running_, sequence.id), std::move(*next));
    next = waiting_.erase(next);
  }
}

// Gives a waiting sequence the pages of its tokens, known ones as far as they go. One page per
// running sequence is left over, so that it is not sent back at once.
bool Scheduler::place(Sequence& sequence, const PagePool::Prefix& prefix) {
  const std::int64_t pages = pages_for(sequence.size());
  pool_.share(prefix, sequence.run);
  const std::int64_t missing = pages - static_cast<std::int64_t>(sequence.run.pages.size());
  if (pool_.available() < missing + std::ssize(running_)) {
    pool_.release(sequence.run);
    return false;
  }
  std::int64_t found = prefix.tokens();
  if (prefix.tail_tokens > 0) {
    pool_.retain(prefix.tail_page);
    if (pool_.grow(sequence.run, pages)) {
      copy_rows_(prefix.tail_page, sequence.run.pages[prefix.full.size()], prefix.tail_tokens);
    } else {
      found -= prefix.tail_tokens;  // the page to copy is the last one to be had
    }
    pool_.release(prefix.tail_page);
  }
  R1_CHECK(pool_.grow(sequence.run, pages), "{} of {} pages", pages, pool_.available());
  sequence.computed = sequence.draft_computed = found;
  if (!sequence.started) {
    sequence.shared_prompt_tokens = found;
    stats_.shared_prompt_tokens += found;
  }
  sequence.started = true;
  return true;
}

// Whether a sequence that reads its prompt now is about to compute most of what this one lacks.
bool Scheduler::should_wait(const Sequence& sequence, std::int64_t known) const {
  const auto wanted = shareable(sequence);
  return std::ranges::any_of(plan_, [&](const Item& item) {
    const Sequence& other = *item.sequence;
    if (other.remaining() == 1) return false;
    const auto common = std::ranges::mismatch(wanted, other.tokens).in1 - wanted.begin();
    return common > known && 2 * (common - known) >= sequence.size() - known;
  });
}

void Scheduler::preempt_youngest() {
  std::unique_ptr<Sequence> sequence = std::move(running_.back());
  running_.pop_back();
  pool_.release(sequence->run);
  sequence->shorten_draft(0);
  sequence->computed = 0;
  ++stats_.preemptions;
  const auto at = place_of(waiting_, sequence->id);
  waiting_.insert(at, std::move(sequence));
}

}  // namespace r1
