#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/page_pool.h"
#include "engine/sequence.h"

namespace r1 {

// Decides which tokens the next pass computes, and owns the sequences until they finish. One round
// is plan(), a forward pass over the plan, appending what was drawn, reserve() for those that are
// to go on with proposals, advance().
class Scheduler {
 public:
  // Copies the first rows of a page to another, in all layers.
  using CopyRows = std::function<void(std::int32_t from, std::int32_t to, std::int64_t rows)>;

  Scheduler(PagePool& pool, const EngineOptions& options, EngineStats& stats, CopyRows copy_rows);

  // Ids rise from one sequence to the next: who came first is older.
  void submit(std::unique_ptr<Sequence> sequence);
  // Ends a sequence, running or waiting, and frees its pages; false if there is none of this id.
  bool remove(RequestId id);
  bool empty() const { return running_.empty() && waiting_.empty(); }
  std::int64_t running() const { return std::ssize(running_); }
  std::int64_t waiting() const { return std::ssize(waiting_); }

  struct Item {
    Sequence* sequence;
    std::int64_t rows;  // from position sequence->computed on; proposals are the last of them
    bool draws;         // they reach the sequence's end
    // What the pass made of it: rows whose tokens are sure, and whether the sequence is complete.
    std::int64_t kept = 0;
    bool finished = false;
  };
  // Decoding sequences come first, then those that read their prompts, then waiting ones as slots,
  // rows and pages allow, the oldest first. When pages run out the youngest goes back to wait.
  std::span<Item> plan();
  // Pages for up to `wanted` proposals after the sequence's tokens; returns for how many. New pages
  // are taken only while every running sequence could have one more.
  std::int64_t reserve(Sequence& sequence, std::int64_t wanted);
  // The kept rows are in the cache and may be shared; those that finished leave.
  void advance();

  // Sends all running sequences back and forgets what the cache holds: the weights changed.
  void start_over();

 private:
  void take_pages();
  void admit(std::int64_t rows);
  bool place(Sequence& sequence, const PagePool::Prefix& prefix);
  bool should_wait(const Sequence& sequence, std::int64_t known) const;
  void preempt_youngest();

  PagePool& pool_;
  const EngineOptions options_;
  EngineStats& stats_;
  CopyRows copy_rows_;
  std::vector<std::unique_ptr<Sequence>> running_;  // by id
  std::deque<std::unique_ptr<Sequence>> waiting_;   // by id
  std::vector<Item> plan_;
};

}  // namespace r1
