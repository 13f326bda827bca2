#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "engine/sequence.h"
#include "model/model.h"

namespace r1 {

// A sequence that a pass has computed rows of, as its drafter sees it: the tokens of rows
// [computed, computed + rows) and the one after them are sure, and the pages hold the rows.
struct Draftee {
  Sequence* sequence;
  std::int64_t first_row;  // of the pass's states
  std::int64_t rows;       // that stay; at least 1. Rows of refused proposals come after them
  std::int64_t wanted;     // tokens to propose; the pages have room for them. 0: just keep up
};

// Proposes tokens (speculation.h). What a drafter caches of a sequence lies in pages of the same
// numbers as the model's own keys and values, and follows them step by step: so it is shared,
// copied, given back and found again together with them. A row that is shared may have been made
// for another next token; proposals may be poorer for it.
class Drafter {
 public:
  virtual ~Drafter() = default;

  // After every pass, before its rows are shared with anyone: reads what is new of all its
  // sequences, and appends at most `wanted` proposals to each one's tokens (add_proposal).
  // states [T, hidden] are the model's own, of all the pass's rows; the arena still holds them.
  virtual void propose(const ForwardContext& ctx, const Tensor& states,
                       std::span<const Draftee> draftees) = 0;
  // Follows KvCache::copy_rows of the model's own cache.
  virtual void copy_rows(std::int32_t /*from*/, std::int32_t /*to*/, std::int64_t /*rows*/) {}
};

// The options with defaults filled in. Throws Error if the model has no prediction module, or the
// draft model has another vocabulary.
SpeculationOptions resolved_speculation(const SpeculationOptions& options, const Model& model);
// Layers that the drafter needs in the model's own cache, after those of the model.
std::int64_t draft_layers(const SpeculationOptions& options);
// Bytes that it caches elsewhere for each page.
std::int64_t draft_bytes_per_page(const SpeculationOptions& options);
// Null for DraftSource::none. `cache` is the model's own, of `pages` pages.
std::unique_ptr<Drafter> make_drafter(const SpeculationOptions& options, Model& model,
                                      KvCache& cache);

}  // namespace r1
