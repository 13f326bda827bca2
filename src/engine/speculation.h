#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

// Speculative decoding: a drafter proposes the next few tokens of a sequence cheaply, the model
// reads them all in one pass, and keeps those that it draws itself (Leviathan, Kalman, Matias 2023;
// Chen et al. 2023; with draws coupled to positions in place of their rejection sampling).
//
// Exactness. Without speculation the token at position p is a function of the logits of row p - 1
// and of one random number u(seed, step, sample, p). The pass that verifies computes the same
// logits bit for bit, as a row depends on its own sequence's earlier tokens alone, and draws from
// each with the u of its position. Proposals are kept while they equal what is drawn; the first
// that differs is replaced by the drawn token, which is right whatever was proposed. So drafters
// decide how many passes a completion takes, never a bit of it: ids, log-probabilities and
// entropies are those without speculation, greedy and sampled.
//
// Coupling. A drafter that has a distribution of its own draws from it in the same way, with the
// request's temperature and truncation and with the same u(p). As far as its distribution is the
// model's, so is its draw, where independent draws would agree only by chance.
namespace r1 {

class Model;

enum class DraftSource {
  none,
  prediction_module,  // the model's own multi-token prediction (DeepSeek-V3 report, section 2.2)
  draft_model,        // a smaller model of the same vocabulary
  prompt_lookup,      // what followed the last tokens where they stood before
};

inline constexpr std::int64_t kMaxDraftTokens = 32;

struct SpeculationOptions {
  DraftSource source = DraftSource::none;
  std::int64_t tokens = 0;       // proposed at most in a step; 0: what suits the source
  Model* draft_model = nullptr;  // for DraftSource::draft_model; outlives the engine
};

// How proposals fared, by their place in the draft: [0] is the token right after the newest.
struct SpeculationStats {
  std::vector<std::int64_t> drafted, accepted;
  std::int64_t passes = 0;  // that verified at least one proposal

  // Proposals of one pass of one sequence; the first `kept` of them were right.
  void add(std::int64_t proposed, std::int64_t kept) {
    if (proposed == 0) return;
    ++passes;
    const auto length = static_cast<std::size_t>(proposed);
    drafted.resize(std::max(drafted.size(), length));
    accepted.resize(drafted.size());
    for (std::size_t i = 0; i < length; ++i) ++drafted[i];
    for (std::size_t i = 0; i < static_cast<std::size_t>(kept); ++i) ++accepted[i];
  }
  std::int64_t total_drafted() const { return sum(drafted); }
  std::int64_t total_accepted() const { return sum(accepted); }

 private:
  static std::int64_t sum(const std::vector<std::int64_t>& counts) {
    std::int64_t total = 0;
    for (const std::int64_t count : counts) total += count;
    return total;
  }
};

}  // namespace r1
