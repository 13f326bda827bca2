#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/request.h"
#include "model/model.h"

namespace r1 {

struct EngineOptions {
  std::int64_t pages = 0;  // KV pages of kPageTokens tokens; 0: enough for max_sequences of full
                           // context, at most a quarter of the memory
  std::int64_t max_sequences = 256;    // sequences that run at once
  std::int64_t max_batch_rows = 2048;  // rows of one forward pass, over all sequences
  std::int64_t prefill_chunk = 512;    // most prompt rows that one sequence adds to a pass
  // How keys and values are kept; q8_0 halves the cache's memory and rounds them (bf16 models
  // only).
  KvStorage kv_storage = KvStorage::plain;
  SpeculationOptions speculation = {};  // how drafts are made; the tokens are the same
};

struct EngineStats {
  std::int64_t steps = 0, prefill_rows = 0;
  std::int64_t decode_rows = 0;           // proposals included
  std::int64_t shared_prompt_tokens = 0;  // prompt tokens found in pages of another sequence
  std::int64_t preemptions = 0;
  std::int64_t pages_used_peak = 0;
  SpeculationStats speculation;
};

// Continuous batching over paged KV: every step runs one forward pass whose rows are the next
// tokens of all running sequences and chunks of prompts still to read. Full pages of a prompt are
// shared with later sequences that begin alike. When pages run out, the youngest sequence gives its
// pages back and reads its tokens anew later; its draws are the same. With speculation a decoding
// sequence's rows are its newest token and the proposals for the next ones (speculation.h).
//
// Token ids only. Not thread-safe; one engine per model.
class Engine {
 public:
  // Throws Error for an option that lets no request through or a drafter that does not fit.
  Engine(Backend& backend, Model& model, EngineOptions options = {});
  ~Engine();

  // Throws Error when the prompt is empty, has an id outside the vocabulary, does not fit the
  // context together with one new token, or needs more pages than there are, and when a sampling
  // parameter has no meaning or names an id outside the vocabulary. A completion that reaches the
  // context's end finishes as length.
  RequestId submit(Request request);
  // Frees the sequence's pages at once; the next step() reports it as cancelled. Nothing happens if
  // it has finished.
  void cancel(RequestId id);
  // Nothing to compute and nothing to report.
  bool idle() const;

  struct Event {
    RequestId id;
    SampledToken token;  // none (id -1) if cancelled or failed
    bool finished;
    FinishReason finish;                    // if finished
    std::string error;                      // what a failed request ran into
    SpeculationStats speculation = {};      // of the request, if finished
    std::int64_t shared_prompt_tokens = 0;  // of the request: found in the cache when it began
    std::vector<TokenAlternative> alternatives = {};  // the likeliest first, if asked for
  };
  // One plan, one forward pass, one draw per sequence whose input is complete, and more where
  // proposals were right: then a sequence has several events, in the order of its tokens. When the
  // model's weights changed since the last step, unfinished sequences are read anew with the new
  // ones.
  std::vector<Event> step();

  // Submits all, steps until idle; completions in the order of the requests. `progress`, if given,
  // is called after each step with the number of finished requests. Throws the Error of a request
  // that cannot be submitted or fails; then, as when progress throws, the others are cancelled. No
  // other sequence may be under way.
  std::vector<Completion> generate(std::span<const Request> requests,
                                   const std::function<void(std::int64_t)>& progress = {});

  // Log-probability of each token given those before it: [ids.size() - 1], with the entropies of
  // the same rows if asked for. The same kernels as sampling, so the same bits. Throws Error for
  // ids that submit() would refuse as a prompt.
  std::vector<float> score(std::span<const std::int32_t> ids, float temperature = 1.0f,
                           std::vector<float>* entropies = nullptr);

  // The same with each token's likeliest alternatives, at temperature 1.
  struct ScoredToken {
    SampledToken token;
    std::vector<TokenAlternative> alternatives;  // the likeliest first
  };
  std::vector<ScoredToken> score_tokens(std::span<const std::int32_t> ids,
                                        std::int64_t alternatives);

  const EngineStats& stats() const;
  // Of the cache; what no sequence refers to is free, though its contents may be remembered.
  std::int64_t pages() const;
  std::int64_t free_pages() const;
  // Sequences that have pages, and those that wait for them.
  std::int64_t running() const;
  std::int64_t waiting() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace r1
