#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <vector>

namespace r1 {

// Which pages of the cache hold the keys and values of which tokens. A node is a page; its path
// from the root spells all the tokens before it, as their keys and values depend on them. Full
// pages have kPageTokens tokens and may have children; shorter ones are leaves.
//
// Children are ordered by their tokens, which are compared themselves, never a hash of them: the
// one that agrees longest with a text is a neighbour of the text's place in that order.
class PrefixTree {
 public:
  using Node = std::int32_t;
  static constexpr Node kRoot = 0, kNone = -1;

  PrefixTree() { clear(); }

  struct Match {
    Node node = kNone;
    std::int64_t tokens = 0;  // how many leading tokens agree
  };
  // The child of `parent` that agrees with the longest beginning of `tokens`.
  Match best_child(Node parent, std::span<const std::int32_t> tokens) const;

  // A new child; `parent` has no child of the same tokens.
  Node insert(Node parent, std::span<const std::int32_t> tokens, std::int32_t page);
  // Removes a node without children.
  void erase(Node node);
  void clear();

  std::int32_t page(Node node) const { return nodes_[static_cast<std::size_t>(node)].page; }

 private:
  struct ByTokens {
    using is_transparent = void;
    bool operator()(std::span<const std::int32_t> a, std::span<const std::int32_t> b) const {
      return std::ranges::lexicographical_compare(a, b);
    }
  };
  using Children = std::map<std::vector<std::int32_t>, Node, ByTokens>;
  struct Entry {
    Node parent = kNone;
    std::int32_t page = -1;
    Children::iterator place;  // among the parent's children
    Children children;
  };

  std::deque<Entry> nodes_;  // never moved: `place` stays valid
  std::vector<Node> unused_;
};

}  // namespace r1
