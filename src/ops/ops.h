#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ops/context.h"
#include "ops/weight.h"

// The differentiable operations. Each lives in a file of its name, forward above backward, with its
// test beside it; registry.h lists them all. T is the number of tokens (rows) in the batch.
namespace r1 {

// --- tokens to rows and back
// out [T, hidden] = table row of each id.
Tensor embedding(const ForwardContext& ctx, TableWeight& table, std::span<const std::int32_t> ids);
// out [rows.size(), row] = the chosen rows of x, in order; rows may repeat.
Tensor select_rows(const ForwardContext& ctx, const Tensor& x, std::span<const std::int32_t> rows);

// --- element by element, and along rows
Tensor add(const ForwardContext& ctx, const Tensor& a, const Tensor& b);
// RMSNorm over the last axis; eps as the model's config says.
Tensor rms_norm(const ForwardContext& ctx, const Tensor& x, TableWeight& weight, float eps);
// silu(gate) * up, [T, n] each.
Tensor swiglu(const ForwardContext& ctx, const Tensor& gate, const Tensor& up);
// [T, a] and [T, b] to [T, a + b]; and columns [first, first + count) of the last axis.
Tensor concat_columns(const ForwardContext& ctx, const Tensor& a, const Tensor& b);
Tensor slice_columns(const ForwardContext& ctx, const Tensor& x, std::int64_t first,
                     std::int64_t count);

// --- matrix products
// x [T, in] to [T, out]; in the precision that the weight was refreshed with. With a model's head
// these are the logits that token_log_probs forms, bit for bit; row_log_prob.h reads them alike.
Tensor linear(const ForwardContext& ctx, const Tensor& x, LinearWeight& weight);
// --- positions
enum class RopeLayout { interleaved, halves };
// cos and sin per position, [positions, dim / 2] each; made once per model (model/rope.h).
struct RopeTable {
  RopeLayout layout;
  std::int64_t dim;
  std::vector<float> cos, sin;
};
// Rotates the last `table.dim` numbers of each head's vector; x [T, heads, head_dim].
Tensor rope(const ForwardContext& ctx, const Tensor& x, const RopeTable& table,
            std::span<const std::int32_t> positions);

// --- the absorbed halves of MLA (DeepSeek-V2 report, section 2.1.2 and appendix C)
// Queries [T, heads, key_dim + rope] to [T, heads, latent + rope]: the first key_dim of each meet
// the key half of the up-projection, the rest is rotated to the token's position ...
Tensor latent_queries(const ForwardContext& ctx, const Tensor& q, LatentUpWeight& weight,
                      const RopeTable& table, std::span<const std::int32_t> positions);
// ... and attention outputs [T, heads, latent] to [T, heads, value_dim].
Tensor latent_values(const ForwardContext& ctx, const Tensor& u, LatentUpWeight& weight);

// --- attention over sequences
// A run of consecutive rows of the batch that continue one sequence at position `start`. The spans
// of a batch follow one another and cover all its rows.
struct SequenceSpan {
  std::int64_t first_row, rows, start;
  // Page numbers of the sequence in the cache, position 0 first; empty without a cache.
  std::span<const std::int32_t> pages;
};
// How a cache holds keys and values: as numbers of the model's precision, or in Q8_0 blocks, which
// are decoded to bf16 where they are attended to (bf16 precision only).
enum class KvStorage { plain, q8_0 };
// The keys and values of one layer: pages of kPageTokens rows of `row_size` numbers, f32 in f32
// precision, else bf16 or blocks. Null data: no cache, every span starts at 0 and sees only the
// batch; so it is with a tape.
struct KvLayer {
  void* data = nullptr;
  std::int64_t row_size = 0;
  KvStorage storage = KvStorage::plain;
};
// Stores the rows' keys and values (rounded as the cache stores them, also in training, so that
// both see the same numbers) and attends causally.
// MLA: q [T, heads, latent + rope], latent [T, latent], key_rope [T, rope]; the cache row is
// [latent | rope], the value is the latent. Returns [T, heads, latent].
Tensor latent_attention(const ForwardContext& ctx, const Tensor& q, const Tensor& latent,
                        const Tensor& key_rope, std::span<const SequenceSpan> spans,
                        const KvLayer& cache, float scale);
// Grouped queries: q [T, heads, key_dim], k [T, kv_heads, key_dim], v [T, kv_heads, value_dim]; the
// cache row is [all keys | all values]. Returns [T, heads, value_dim].
Tensor grouped_attention(const ForwardContext& ctx, const Tensor& q, const Tensor& k,
                         const Tensor& v, std::span<const SequenceSpan> spans, const KvLayer& cache,
                         float scale);

// --- mixture of experts (DeepSeek-V3 report, section 2.1.2)
enum class ScoreFunction { sigmoid, softmax };
struct RoutingConfig {
  ScoreFunction score = ScoreFunction::sigmoid;
  std::int64_t experts = 0, experts_per_token = 0;
  std::int64_t groups = 1, groups_per_token = 1;
  std::int64_t group_score_top = 2;  // best scores summed per group: 2 with a bias, else 1
  bool normalise = true;
  float scale = 1.0f;
};
struct Routing {
  std::vector<std::int32_t> experts;  // [T, experts_per_token], best selection score first
  Tensor weights;                     // [T, experts_per_token], as applied
  Tensor scores;                      // [T, experts], without bias
  std::vector<std::int64_t> load;     // [experts] tokens that chose each
};
// x [T, hidden]; gate in fp32 whatever the precision; bias [experts] may be null. Excluded groups
// are masked with minus infinity; ties go to the lower index. Gradients flow through the weights.
Routing route(const ForwardContext& ctx, const Tensor& x, LinearWeight& gate, const float* bias,
              const RoutingConfig& config);
// Sequence balance loss sum_i f_i P_i of each span, averaged over the spans, times alpha
// (equations 17-20). Returns a scalar [1]; its gradient is seeded by the caller, like any loss's.
Tensor sequence_balance_loss(const ForwardContext& ctx, const Routing& routing,
                             const RoutingConfig& config, std::span<const SequenceSpan> spans,
                             float alpha);
struct ExpertWeight {
  LinearWeight gate, up, down;
  std::int64_t slot = -1;  // where its panels lie, if they lie with those of others
};
// y [T, hidden] = sum over slots, in slot order, of weight * expert(x): rows are gathered per
// expert, multiplied as groups, and combined.
Tensor experts(const ForwardContext& ctx, const Tensor& x, const Routing& routing,
               std::span<ExpertWeight> weights);

// --- losses
inline constexpr std::int32_t kIgnoredLabel = -100;
// log p(target) of each row, in nats, of softmax(temperature_inverse * (x W^T)); x [T, hidden] are
// final states. Logits exist for a few rows at a time only. Targets of kIgnoredLabel give 0 and no
// gradient. entropy, if not null, gets each row's entropy [T], 0 where ignored (no gradient).
Tensor token_log_probs(const ForwardContext& ctx, const Tensor& x, LinearWeight& head,
                       std::span<const std::int32_t> targets, float temperature_inverse,
                       float* entropy);
// Scalar [1] = sum_i coefficients[i] * x[i] over all elements; the coefficients are constants.
// A mean cross-entropy is weighted_sum(token_log_probs, -1 / labels).
Tensor weighted_sum(const ForwardContext& ctx, const Tensor& x,
                    std::span<const float> coefficients);

// --- memory
// Runs `layer` without recording it and recomputes it during the backward (the bits are the same),
// so that only its input and output stay in memory. `layer` runs twice, first without a tape; the
// second time ctx.tape is a tape of its own, on which further losses may be seeded. Tensors that
// `layer` captures get no gradient.
Tensor recomputed(const ForwardContext& ctx, const Tensor& x,
                  std::function<Tensor(const ForwardContext&, const Tensor&)> layer);

}  // namespace r1
