#include "engine/page_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "backend/attention_kernels.h"
#include "base/rng.h"

namespace r1 {
namespace {

using Tokens = std::vector<std::int32_t>;

std::int64_t common_prefix(const Tokens& a, const Tokens& b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

Tokens counting(std::int64_t count, std::int32_t first = 0) {
  Tokens tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

TEST(PrefixTreeTest, FindsTheLongestAgreement) {
  Rng rng(1);
  PrefixTree tree;
  std::vector<Tokens> known;
  for (int round = 0; round < 300; ++round) {
    Tokens tokens;
    for (std::int64_t length = rng.between(1, 6); length > 0; --length) {
      tokens.push_back(static_cast<std::int32_t>(rng.below(3)));
    }
    std::int64_t best = 0;
    for (const Tokens& other : known) best = std::max(best, common_prefix(other, tokens));
    const PrefixTree::Match match = tree.best_child(PrefixTree::kRoot, tokens);
    ASSERT_EQ(match.tokens, best);
    if (best > 0) {
      const auto page = static_cast<std::size_t>(tree.page(match.node));
      EXPECT_EQ(common_prefix(known[page], tokens), best);
    }
    if (std::ranges::find(known, tokens) != known.end()) continue;
    tree.insert(PrefixTree::kRoot, tokens, static_cast<std::int32_t>(known.size()));
    known.push_back(tokens);
  }
}

TEST(PrefixTreeTest, TheSameTokensElsewhereAreOthers) {
  PrefixTree tree;
  const PrefixTree::Node a = tree.insert(PrefixTree::kRoot, Tokens{1}, 10);
  const PrefixTree::Node b = tree.insert(PrefixTree::kRoot, Tokens{2}, 11);
  tree.insert(a, Tokens{7, 8}, 12);
  EXPECT_EQ(tree.best_child(b, Tokens{7, 8}).tokens, 0);
  EXPECT_EQ(tree.best_child(PrefixTree::kRoot, Tokens{7, 8}).tokens, 0);
  const PrefixTree::Match match = tree.best_child(a, Tokens{7, 9});
  EXPECT_EQ(match.tokens, 1);
  EXPECT_EQ(tree.page(match.node), 12);
  tree.erase(match.node);
  EXPECT_EQ(tree.best_child(a, Tokens{7, 9}).tokens, 0);
  EXPECT_EQ(tree.best_child(PrefixTree::kRoot, Tokens{1}).node, a);
}

// Stores `tokens` as a finished sequence would leave them.
void store(PagePool& pool, const Tokens& tokens) {
  PageRun run;
  pool.share(pool.find(tokens), run);
  const std::int64_t pages =
      (static_cast<std::int64_t>(tokens.size()) + kPageTokens - 1) / kPageTokens;
  ASSERT_TRUE(pool.grow(run, pages));
  pool.publish(run, tokens);
  pool.publish_tail(run, tokens);
  pool.release(run);
}

TEST(PagePoolTest, RemembersWhatWasReleased) {
  PagePool pool(8);
  const Tokens tokens = counting(150);
  store(pool, tokens);
  EXPECT_EQ(pool.available(), 8);
  Tokens longer = tokens;
  longer.push_back(5);
  PagePool::Prefix prefix = pool.find(longer);
  EXPECT_EQ(prefix.full.size(), 2u);
  EXPECT_EQ(prefix.tail_tokens, 22);
  EXPECT_EQ(prefix.tokens(), 150);
  PageRun run;
  pool.share(prefix, run);
  EXPECT_EQ(pool.available(), 6);
  EXPECT_EQ(run.published, 2);
  pool.release(run);
  EXPECT_EQ(pool.available(), 8);
  EXPECT_EQ(pool.find(counting(150, 1)).tokens(), 0);
  pool.forget();
  EXPECT_EQ(pool.find(tokens).tokens(), 0);
  EXPECT_EQ(pool.available(), 8);
}

TEST(PagePoolTest, ReusesTheLeastRecentlyUsedPage) {
  PagePool pool(4);
  const Tokens a = counting(64), b = counting(128, 1000);
  store(pool, a);
  store(pool, b);
  store(pool, counting(64, 2000));
  // a is used again, so the tail of b goes first, then its head.
  PageRun run;
  pool.share(pool.find(a), run);
  pool.release(run);
  PageRun taken;
  ASSERT_TRUE(pool.grow(taken, 1));
  EXPECT_EQ(pool.find(b).tokens(), 64);
  EXPECT_EQ(pool.find(a).tokens(), 64);
  ASSERT_TRUE(pool.grow(taken, 2));
  EXPECT_EQ(pool.find(b).tokens(), 0);
  ASSERT_TRUE(pool.grow(taken, 3));
  EXPECT_EQ(pool.find(counting(64, 2000)).tokens(), 0);
  EXPECT_EQ(pool.find(a).tokens(), 64);
  EXPECT_FALSE(pool.grow(taken, 5));
  EXPECT_EQ(taken.pages.size(), 3u);
  ASSERT_TRUE(pool.grow(taken, 4));
  EXPECT_EQ(pool.find(a).tokens(), 0);
  pool.release(taken);
  EXPECT_EQ(pool.available(), 4);
}

TEST(PagePoolTest, EqualPagesBecomeOne) {
  PagePool pool(8);
  const Tokens tokens = counting(64);
  PageRun first, second;
  ASSERT_TRUE(pool.grow(first, 1));
  ASSERT_TRUE(pool.grow(second, 1));
  EXPECT_NE(first.pages[0], second.pages[0]);
  pool.publish(first, tokens);
  pool.publish(second, tokens);
  EXPECT_EQ(first.pages[0], second.pages[0]);
  EXPECT_EQ(pool.referenced(), 1);
  pool.release(first);
  EXPECT_EQ(pool.referenced(), 1);
  pool.release(second);
  EXPECT_EQ(pool.referenced(), 0);
}

TEST(PagePoolTest, ARunGivesBackItsLastPages) {
  PagePool pool(5);
  const Tokens tokens = counting(kPageTokens + 10);
  PageRun run;
  ASSERT_TRUE(pool.grow(run, 4));
  pool.publish(run, tokens);
  pool.publish_tail(run, tokens);
  const std::vector<std::int32_t> kept(run.pages.begin(), run.pages.begin() + 2);
  pool.shrink(run, 2);
  EXPECT_EQ(run.pages, kept);
  EXPECT_EQ(pool.available(), 3);
  EXPECT_EQ(pool.find(tokens).tokens(), kPageTokens + 10);
  pool.shrink(run, 2);
  EXPECT_EQ(run.pages, kept);
  ASSERT_TRUE(pool.grow(run, 5));
  EXPECT_EQ(pool.available(), 0);
  pool.release(run);
  EXPECT_EQ(pool.available(), 5);
}

TEST(PagePoolTest, ATailGrowsIntoAFullPage) {
  PagePool pool(8);
  const Tokens tokens = counting(64);
  const Tokens prompt(tokens.begin(), tokens.begin() + 10);
  PageRun run;
  ASSERT_TRUE(pool.grow(run, 1));
  pool.publish_tail(run, prompt);
  EXPECT_EQ(pool.find(tokens).tail_page, run.pages[0]);
  EXPECT_EQ(pool.find(tokens).tokens(), 10);
  pool.publish(run, tokens);
  EXPECT_EQ(pool.find(tokens).full.size(), 1u);
  EXPECT_EQ(pool.find(prompt).tail_tokens, 10);
  // A tail that is known already is not stored again.
  PageRun other;
  ASSERT_TRUE(pool.grow(other, 1));
  pool.publish_tail(other, prompt);
  EXPECT_EQ(pool.find(prompt).tail_page, run.pages[0]);
  pool.release(other);
  pool.release(run);
}

// Sequences of few different tokens begin, grow and end at random. The rows of a page are written
// down beside the pool: what it says a page holds must be there.
TEST(PagePoolTest, WhatIsFoundIsThere) {
  constexpr std::int64_t kPages = 12;
  Rng rng(1);
  PagePool pool(kPages);
  // content[page][row]: all tokens of the sequence up to that row.
  std::vector<std::vector<Tokens>> content(kPages, std::vector<Tokens>(kPageTokens));
  struct Live {
    Tokens tokens;
    PageRun run;
  };
  std::vector<Live> live;
  std::int64_t shared = 0;
  const auto beginning = [](const Tokens& tokens, std::int64_t count) {
    return Tokens(tokens.begin(), tokens.begin() + count);
  };
  const auto row = [&](std::int32_t page, std::int64_t position) -> Tokens& {
    return content[static_cast<std::size_t>(page)]
                  [static_cast<std::size_t>(position % kPageTokens)];
  };
  const auto write = [&](Live& sequence, std::int64_t first) {
    for (std::int64_t t = first; t < std::ssize(sequence.tokens); ++t) {
      const std::int32_t page = sequence.run.pages[static_cast<std::size_t>(t / kPageTokens)];
      row(page, t) = beginning(sequence.tokens, t + 1);
    }
  };
  for (int round = 0; round < 4000; ++round) {
    const std::uint32_t choice = rng.below(3);
    if (choice == 0) {
      Live sequence;
      // Three texts that branch at a few places.
      const std::int32_t text = static_cast<std::int32_t>(rng.below(3));
      const std::int64_t length = rng.between(1, 200), branch = rng.between(0, 250);
      for (std::int64_t t = 0; t < length; ++t) {
        sequence.tokens.push_back(t < branch ? text : text + 10);
      }
      const PagePool::Prefix prefix = pool.find(sequence.tokens);
      for (std::int64_t t = 0; t < prefix.tail_tokens; ++t) {
        const auto at = static_cast<std::int64_t>(prefix.full.size()) * kPageTokens + t;
        ASSERT_EQ(row(prefix.tail_page, at), beginning(sequence.tokens, at + 1));
      }
      pool.share(prefix, sequence.run);
      const auto full = static_cast<std::int64_t>(prefix.full.size()) * kPageTokens;
      if (!pool.grow(sequence.run, (length + kPageTokens - 1) / kPageTokens)) {
        pool.release(sequence.run);
        continue;
      }
      shared += full;
      write(sequence, full);
      pool.publish(sequence.run, sequence.tokens);
      pool.publish_tail(sequence.run, sequence.tokens);
      live.push_back(std::move(sequence));
    } else if (live.empty()) {
      continue;
    } else if (const std::size_t which = rng.below(static_cast<std::uint32_t>(live.size()));
               choice == 1) {
      Live& sequence = live[which];
      const std::int64_t before = std::ssize(sequence.tokens), added = rng.between(1, 70);
      if (!pool.grow(sequence.run, (before + added + kPageTokens - 1) / kPageTokens)) continue;
      sequence.tokens.resize(sequence.tokens.size() + static_cast<std::size_t>(added),
                             static_cast<std::int32_t>(20 + rng.below(2)));
      write(sequence, before);
      pool.publish(sequence.run, sequence.tokens);
    } else {
      pool.release(live[which].run);
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(which));
    }
    for (const Live& sequence : live) {
      for (std::int64_t t = 0; t < std::ssize(sequence.tokens); t += 13) {
        const std::int32_t page = sequence.run.pages[static_cast<std::size_t>(t / kPageTokens)];
        ASSERT_EQ(row(page, t), beginning(sequence.tokens, t + 1)) << "round " << round;
      }
    }
  }
  EXPECT_GT(shared, 1000);
  for (Live& sequence : live) pool.release(sequence.run);
  EXPECT_EQ(pool.available(), kPages);
}

}  // namespace
}  // namespace r1
