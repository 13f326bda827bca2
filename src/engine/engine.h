#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/request.h"
#include "model/model.h"

namespace r1 {

using RequestId = std::uint64_t;

struct EngineOptions {
  std::int64_t pages = 0;  // KV pages of kPageTokens tokens; 0: enough for max_sequences of full
                           // context, at most a quarter of the memory
  std::int64_t max_sequences = 256;    // sequences that run at once
  std::int64_t max_batch_rows = 2048;  // rows of one forward pass, over all sequences
  std::int64_t prefill_chunk = 512;    // most prompt rows that one sequence adds to a pass
};

struct EngineStats {
  std::int64_t steps = 0, prefill_rows = 0, decode_rows = 0;
  std::int64_t shared_prompt_tokens = 0;  // prompt tokens found in pages of another sequence
  std::int64_t preemptions = 0;
  std::int64_t pages_used_peak = 0;
};

// Continuous batching over paged KV: every step runs one forward pass whose rows are the next
// tokens of all running sequences and chunks of prompts still to read. Full pages of a prompt are
// shared with later sequences that begin alike. When pages run out, the youngest sequence gives its
// pages back and reads its tokens anew later; its draws are the same.
//
// Token ids only. Not thread-safe; one engine per model.
class Engine {
 public:
  Engine(Backend& backend, Model& model, EngineOptions options = {});
  ~Engine();

  // Throws Error when the prompt is empty, has an id outside the vocabulary, or does not fit the
  // context together with one new token. A completion that reaches the context's end finishes as
  // length.
  RequestId submit(Request request);
  // Frees the sequence's pages; its completion ends as cancelled.
  void cancel(RequestId id);
  bool idle() const;

  struct Event {
    RequestId id;
    SampledToken token;
    bool finished;
    FinishReason finish;
  };
  // One plan, one forward pass, one draw per sequence whose input is complete.
  std::vector<Event> step();

  // Submits all, steps until idle; completions in the order of the requests. `progress`, if given,
  // is called after each step with the number of finished requests.
  std::vector<Completion> generate(std::span<const Request> requests,
                                   const std::function<void(std::int64_t)>& progress = {});

  // Log-probability of each token given those before it: [ids.size() - 1], with the entropies of
  // the same rows if asked for. The same kernels as sampling, so the same bits.
  std::vector<float> score(std::span<const std::int32_t> ids, float temperature = 1.0f,
                           std::vector<float>* entropies = nullptr);

  const EngineStats& stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace r1
