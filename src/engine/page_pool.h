#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/prefix_tree.h"

namespace r1 {

// The pages of one sequence, position 0 first.
struct PageRun {
  std::vector<std::int32_t> pages;
  // The leading full pages that the pool knows by their tokens, and its node of the last of them.
  std::int64_t published = 0;
  PrefixTree::Node last = PrefixTree::kRoot;
};

// Hands out the pages of a KvCache, counts who refers to them, and remembers what they hold: a page
// that nobody refers to any more stays findable by its tokens until its memory is needed, the least
// recently used first. A sequence refers to all its pages, so a page outlives those that follow it.
//
// The pool knows numbers alone; the rows are in the cache.
class PagePool {
 public:
  explicit PagePool(std::int64_t pages);

  std::int64_t size() const { return static_cast<std::int64_t>(pages_.size()); }
  // Pages that can be had: empty ones, and remembered ones that nobody refers to.
  std::int64_t available() const { return available_; }
  std::int64_t referenced() const { return size() - available_; }

  // The longest known beginning of `tokens`: full pages, then part of one more page.
  struct Prefix {
    std::vector<PrefixTree::Node> full;
    std::int32_t tail_page = -1;  // its first tail_tokens rows
    std::int64_t tail_tokens = 0;
    std::int64_t tokens() const;
  };
  Prefix find(std::span<const std::int32_t> tokens) const;

  // Makes an empty run refer to the full pages of a prefix just found.
  void share(const Prefix& prefix, PageRun& run);
  // Appends pages until the run has `pages`; false, and none appended, if there are not enough.
  bool grow(PageRun& run, std::int64_t pages);
  // Gives back the pages after the first `pages`, none of which is published.
  void shrink(PageRun& run, std::int64_t pages);
  // Ends all the run's references and empties it.
  void release(PageRun& run);

  // Makes the run's full pages findable; `tokens` are those whose rows are in the cache. A page
  // whose tokens are known already is given back for the known one: it has the same bits.
  void publish(PageRun& run, std::span<const std::int32_t> tokens);
  // The same for the rows after the last full page, which are shared by copying them. The owner may
  // go on appending to the page.
  void publish_tail(PageRun& run, std::span<const std::int32_t> tokens);

  // Keeps a page from being reused while its rows are copied.
  void retain(std::int32_t page);
  void release(std::int32_t page);

  // Forgets all contents (the weights changed); nobody may hold a page.
  void forget();

 private:
  static constexpr std::int32_t kNoPage = -1;
  struct Page {
    std::int64_t references = 0;
    PrefixTree::Node node = PrefixTree::kNone;
    std::int32_t older = kNoPage, newer = kNoPage;  // among the remembered unreferenced pages
  };
  Page& at(std::int32_t page) { return pages_[static_cast<std::size_t>(page)]; }
  void link_newest(std::int32_t page);
  void unlink(std::int32_t page);
  void forget_node(std::int32_t page);
  std::int32_t take();

  std::vector<Page> pages_;
  std::vector<std::int32_t> empty_;
  std::int32_t oldest_ = kNoPage, newest_ = kNoPage;
  std::int64_t available_;
  PrefixTree tree_;
};

}  // namespace r1
