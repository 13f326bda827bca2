#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/page_pool.h"
#include "engine/request.h"

namespace r1 {

// A request on its way. Its tokens grow; the keys and values of the first `computed` are in its
// pages. With one token left to compute it decodes, with more it reads.
struct Sequence {
  RequestId id = 0;
  SamplingParams sampling;
  std::vector<std::int32_t> stop_tokens;
  std::int64_t alternatives = 0;
  std::shared_ptr<TokenGuide> guide;
  std::vector<std::int32_t> tokens;  // the prompt, then what was drawn, then proposals
  std::int64_t drafted = 0;          // how many of the tokens are proposals to be verified
  std::int64_t prompt_size = 0;
  std::int64_t shared_prompt_tokens = 0;  // found in the cache when it began
  std::int64_t limit = 0;                 // tokens at which it ends as length
  std::int64_t computed = 0;
  std::int64_t draft_computed = 0;  // the same for the cache of a draft model
  bool started = false;             // ran before; not the first time that pages are sought
  PageRun run;
  SpeculationStats speculation;

  // Of the tokens that are sure.
  std::int64_t size() const { return static_cast<std::int64_t>(tokens.size()) - drafted; }
  std::int64_t remaining() const { return size() - computed; }
  // Tokens [first, first + count).
  std::span<const std::int32_t> part(std::int64_t first, std::int64_t count) const {
    return std::span(tokens).subspan(static_cast<std::size_t>(first),
                                     static_cast<std::size_t>(count));
  }
  // Forgets the proposals after the first `count`.
  void shorten_draft(std::int64_t count) {
    tokens.resize(static_cast<std::size_t>(size() + count));
    drafted = count;
  }
};

}  // namespace r1
