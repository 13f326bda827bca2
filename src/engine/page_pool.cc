#include "engine/page_pool.h"

#include <numeric>

#include "backend/attention_kernels.h"
#include "base/error.h"

namespace r1 {

PagePool::PagePool(std::int64_t pages)
    : pages_(static_cast<std::size_t>(pages)),
      empty_(static_cast<std::size_t>(pages)),
      available_(pages) {
  // Taken from the back: page 0 first.
  std::iota(empty_.rbegin(), empty_.rend(), 0);
}

std::int64_t PagePool::Prefix::tokens() const {
  return static_cast<std::int64_t>(full.size()) * kPageTokens + tail_tokens;
}

PagePool::Prefix PagePool::find(std::span<const std::int32_t> tokens) const {
  Prefix prefix;
  PrefixTree::Node node = PrefixTree::kRoot;
  while (!tokens.empty()) {
    const PrefixTree::Match match = tree_.best_child(
        node, tokens.first(std::min(tokens.size(), static_cast<std::size_t>(kPageTokens))));
    if (match.tokens < kPageTokens) {
      if (match.tokens > 0) {
        prefix.tail_page = tree_.page(match.node);
        prefix.tail_tokens = match.tokens;
      }
      break;
    }
    prefix.full.push_back(match.node);
    node = match.node;
    tokens = tokens.subspan(static_cast<std::size_t>(kPageTokens));
  }
  return prefix;
}

void PagePool::share(const Prefix& prefix, PageRun& run) {
  R1_CHECK(run.pages.empty(), "{} pages", run.pages.size());
  for (const PrefixTree::Node node : prefix.full) {
    retain(tree_.page(node));
    run.pages.push_back(tree_.page(node));
    run.last = node;
  }
  run.published = static_cast<std::int64_t>(prefix.full.size());
}

bool PagePool::grow(PageRun& run, std::int64_t pages) {
  const std::int64_t missing = pages - static_cast<std::int64_t>(run.pages.size());
  if (missing > available_) return false;
  for (std::int64_t i = 0; i < missing; ++i) run.pages.push_back(take());
  return true;
}

void PagePool::shrink(PageRun& run, std::int64_t pages) {
  R1_CHECK(pages >= run.published, "{} of {} published pages", pages, run.published);
  while (std::ssize(run.pages) > pages) {
    release(run.pages.back());
    run.pages.pop_back();
  }
}

void PagePool::release(PageRun& run) {
  // Last page first: a page is always used more recently than those that follow it.
  while (!run.pages.empty()) {
    release(run.pages.back());
    run.pages.pop_back();
  }
  run.published = 0;
  run.last = PrefixTree::kRoot;
}

void PagePool::publish(PageRun& run, std::span<const std::int32_t> tokens) {
  constexpr auto kTokens = static_cast<std::size_t>(kPageTokens);
  while (true) {
    const auto index = static_cast<std::size_t>(run.published);
    if ((index + 1) * kTokens > tokens.size()) return;
    const auto content = tokens.subspan(index * kTokens, kTokens);
    std::int32_t& page = run.pages[index];
    forget_node(page);  // it may be known by its first rows
    const PrefixTree::Match known = tree_.best_child(run.last, content);
    if (known.tokens == kPageTokens) {
      retain(tree_.page(known.node));
      release(page);
      page = tree_.page(known.node);
      run.last = known.node;
    } else {
      run.last = tree_.insert(run.last, content, page);
      at(page).node = run.last;
    }
    ++run.published;
  }
}

void PagePool::publish_tail(PageRun& run, std::span<const std::int32_t> tokens) {
  const auto tail = tokens.subspan(static_cast<std::size_t>(run.published * kPageTokens));
  if (tail.empty()) return;
  R1_CHECK(tail.size() < static_cast<std::size_t>(kPageTokens), "{} tokens", tail.size());
  const std::int32_t page = run.pages[static_cast<std::size_t>(run.published)];
  if (tree_.best_child(run.last, tail).tokens == static_cast<std::int64_t>(tail.size())) return;
  forget_node(page);
  at(page).node = tree_.insert(run.last, tail, page);
}

void PagePool::retain(std::int32_t page) {
  if (at(page).references++ > 0) return;
  unlink(page);
  --available_;
}

void PagePool::release(std::int32_t page) {
  Page& released = at(page);
  R1_CHECK(released.references > 0, "page {} has no reference", page);
  if (--released.references > 0) return;
  ++available_;
  if (released.node == PrefixTree::kNone) {
    empty_.push_back(page);
  } else {
    link_newest(page);
  }
}

void PagePool::forget() {
  R1_CHECK(referenced() == 0, "{} pages in use", referenced());
  for (std::int32_t page = oldest_; page != kNoPage; page = oldest_) {
    unlink(page);
    at(page).node = PrefixTree::kNone;
    empty_.push_back(page);
  }
  tree_.clear();
}

void PagePool::link_newest(std::int32_t page) {
  at(page).older = newest_;
  at(page).newer = kNoPage;
  (newest_ == kNoPage ? oldest_ : at(newest_).newer) = page;
  newest_ = page;
}

void PagePool::unlink(std::int32_t page) {
  const Page& gone = at(page);
  (gone.older == kNoPage ? oldest_ : at(gone.older).newer) = gone.newer;
  (gone.newer == kNoPage ? newest_ : at(gone.newer).older) = gone.older;
}

void PagePool::forget_node(std::int32_t page) {
  PrefixTree::Node& node = at(page).node;
  if (node == PrefixTree::kNone) return;
  tree_.erase(node);
  node = PrefixTree::kNone;
}

std::int32_t PagePool::take() {
  std::int32_t page = oldest_;
  if (!empty_.empty()) {
    page = empty_.back();
    empty_.pop_back();
  } else {
    unlink(page);
    forget_node(page);
  }
  at(page).references = 1;
  --available_;
  return page;
}

}  // namespace r1
