#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/page_pool.h"

namespace r1 {

// A request on its way. Its tokens grow; the keys and values of the first `computed` are in its
// pages. With one token left to compute it decodes, with more it reads.
struct Sequence {
  RequestId id = 0;
  SamplingParams sampling;
  std::vector<std::int32_t> stop_tokens;
  std::vector<std::int32_t> tokens;  // the prompt, then what was drawn
  std::int64_t prompt_size = 0;
  std::int64_t limit = 0;  // tokens at which it ends as length
  std::int64_t computed = 0;
  bool started = false;  // ran before; not the first time that pages are sought
  PageRun run;

  std::int64_t size() const { return static_cast<std::int64_t>(tokens.size()); }
  std::int64_t remaining() const { return size() - computed; }
};

// Decides which tokens the next pass computes, and owns the sequences until they finish. One round
// is plan(), a forward pass over the plan, advance(); then drawn tokens are appended.
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

  struct Item {
    Sequence* sequence;
    std::int64_t rows;  // from position sequence->computed on
  };
  // Decoding sequences come first, then those that read their prompts, then waiting ones as slots,
  // rows and pages allow, the oldest first. When pages run out the youngest goes back to wait.
  const std::vector<Item>& plan();
  // The planned rows are in the cache.
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
