#include "engine/prefix_tree.h"

#include <iterator>

#include "base/error.h"

namespace r1 {

PrefixTree::Match PrefixTree::best_child(Node parent, std::span<const std::int32_t> tokens) const {
  const Children& children = nodes_[static_cast<std::size_t>(parent)].children;
  Match best;
  const auto consider = [&](Children::const_iterator child) {
    const auto differing = std::ranges::mismatch(child->first, tokens).in2;
    const std::int64_t common = differing - tokens.begin();
    if (common > best.tokens) best = {child->second, common};
  };
  const auto next = children.lower_bound(tokens);
  if (next != children.end()) consider(next);
  if (next != children.begin()) consider(std::prev(next));
  return best;
}

PrefixTree::Node PrefixTree::insert(Node parent, std::span<const std::int32_t> tokens,
                                    std::int32_t page) {
  if (unused_.empty()) {
    unused_.push_back(static_cast<Node>(nodes_.size()));
    nodes_.emplace_back();
  }
  const Node node = unused_.back();
  const auto [place, added] = nodes_[static_cast<std::size_t>(parent)].children.emplace(
      std::vector(tokens.begin(), tokens.end()), node);
  R1_CHECK(added && !tokens.empty(), "{} tokens under node {} are known", tokens.size(), parent);
  unused_.pop_back();
  Entry& entry = nodes_[static_cast<std::size_t>(node)];
  entry.parent = parent;
  entry.page = page;
  entry.place = place;
  return node;
}

void PrefixTree::erase(Node node) {
  Entry& entry = nodes_[static_cast<std::size_t>(node)];
  R1_CHECK(node != kRoot && entry.children.empty(), "node {} has {} children", node,
           entry.children.size());
  nodes_[static_cast<std::size_t>(entry.parent)].children.erase(entry.place);
  unused_.push_back(node);
}

void PrefixTree::clear() {
  nodes_.clear();
  unused_.clear();
  nodes_.emplace_back();
}

}  // namespace r1
