#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "model/batch.h"
#include "model/config.h"
#include "model/expert_memory.h"

// The layers of a transformer. Each knows its weights under their checkpoint names,
// visits them in checkpoint order, and reads forward() the same in training and inference.
namespace r1 {

using WeightVisitor = std::function<void(Weight&)>;

// What a pass leaves behind for those who watch it: tests, the router's balancing, statistics.
struct ForwardTrace {
  bool want_hidden = false;
  // Embeddings, the residual stream after each layer, and the final norm; each [T, hidden].
  std::vector<Tensor> hidden;
  // One per MoE layer, in layer order.
  struct LayerRouting {
    std::int64_t layer;
    std::vector<std::int32_t> experts;  // [T, experts_per_token]
    std::vector<float> weights;         // the same extents
    std::vector<std::int64_t> load;     // [experts]
  };
  std::vector<LayerRouting> routing;
};

struct ForwardOptions {
  bool recompute_layers = false;        // trade a second forward for the activations' memory
  float sequence_balance_alpha = 0.0f;  // > 0 with a tape: adds the balance loss's gradient
  ForwardTrace* trace = nullptr;
  // For predict_further(): the rows whose states are wanted; none: all. The others end once their
  // keys and values are stored.
  std::optional<std::span<const std::int32_t>> wanted_rows;
};

// Multi-head latent attention (DeepSeek-V2 report, section 2.1), in the absorbed form: queries are
// carried into the latent space, where all heads share one key-value row per token.
class LatentAttention {
 public:
  LatentAttention(const ModelConfig& config, const std::string& prefix);
  // x [T, hidden], normed; returns [T, hidden].
  Tensor forward(const ForwardContext& ctx, const Tensor& x, const Batch& batch,
                 const KvLayer& cache, const RopeTable& table);
  void visit(const WeightVisitor& visitor);
  void refresh(Backend& backend, Precision precision, bool training);

 private:
  std::int64_t heads_, nope_dim_, rope_dim_, value_dim_, latent_;
  float scale_;
  // Either q_b * norm(q_a x), or q_b x where queries are not compressed.
  std::optional<LinearWeight> query_down_;
  std::optional<TableWeight> query_norm_;
  LinearWeight query_up_;
  LinearWeight latent_down_;
  TableWeight latent_norm_;
  LatentUpWeight latent_up_;
  LinearWeight output_;
};

// Attention of groups of query heads that share one key-value head (Ainslie et al. 2023), as in
// Qwen and Llama; a norm on each head's query and key where the config has one (Qwen3).
class GroupedQueryAttention {
 public:
  GroupedQueryAttention(const ModelConfig& config, const std::string& prefix);
  // x [T, hidden], normed; returns [T, hidden].
  Tensor forward(const ForwardContext& ctx, const Tensor& x, const Batch& batch,
                 const KvLayer& cache, const RopeTable& table);
  void visit(const WeightVisitor& visitor);
  void refresh(Backend& backend, Precision precision, bool training);

 private:
  // Of `heads` vectors per token: projected, normed, rotated; [T, heads, head_dim].
  Tensor heads_of(const ForwardContext& ctx, const Tensor& x, LinearWeight& projection,
                  std::optional<TableWeight>& norm, std::int64_t heads, const Batch& batch,
                  const RopeTable& table) const;

  std::int64_t heads_, kv_heads_, head_dim_;
  float scale_, eps_;
  LinearWeight query_, key_, value_, output_;
  std::optional<TableWeight> query_norm_, key_norm_;
};

// W_down (silu(W_gate x) * W_up x)
class DenseFeedForward {
 public:
  DenseFeedForward(std::int64_t hidden, std::int64_t intermediate, const std::string& prefix);
  Tensor forward(const ForwardContext& ctx, const Tensor& x);
  void visit(const WeightVisitor& visitor);
  void refresh(Backend& backend, Precision precision, bool training);

 private:
  ExpertWeight weights_;
};

// Routed experts chosen per token, plus shared experts that all tokens use.
class MixtureOfExperts {
 public:
  MixtureOfExperts(const ModelConfig& config, std::int64_t layer, const std::string& prefix);
  Tensor forward(const ForwardContext& ctx, const Tensor& x, const Batch& batch,
                 const ForwardOptions& options);
  void visit(const WeightVisitor& visitor);
  void refresh(Backend& backend, Precision precision, bool training);

  std::int64_t layer() const { return layer_; }
  std::span<ExpertWeight> experts() { return experts_; }
  // Where the experts' panels lie from now on, and the layer whose turn it is after this one; both
  // outlive this.
  void use(ExpertMemory& memory, MixtureOfExperts& next) {
    memory_ = &memory;
    next_ = &next;
  }
  // e_score_correction_bias [experts]; null if the architecture has none.
  float* routing_bias();

 private:
  RoutingConfig routing_;
  std::int64_t layer_;
  LinearWeight gate_;
  std::optional<Weight> routing_bias_;
  std::vector<ExpertWeight> experts_;
  ExpertMemory* memory_ = nullptr;  // null: each has its own
  MixtureOfExperts* next_ = nullptr;
  std::optional<DenseFeedForward> shared_;
};

class DecoderLayer {
 public:
  DecoderLayer(const ModelConfig& config, std::int64_t layer, bool moe);
  Tensor forward(const ForwardContext& ctx, Tensor x, const Batch& batch, const KvLayer& cache,
                 const RopeTable& table, const ForwardOptions& options);
  void visit(const WeightVisitor& visitor);
  void refresh(Backend& backend, Precision precision, bool training);
  MixtureOfExperts* mixture() { return std::get_if<MixtureOfExperts>(&feed_forward_); }

 private:
  float eps_;
  TableWeight attention_norm_;
  std::variant<LatentAttention, GroupedQueryAttention> attention_;
  TableWeight feed_forward_norm_;
  std::variant<DenseFeedForward, MixtureOfExperts> feed_forward_;
};

// Predicts one token further (DeepSeek-V3 report, section 2.2): joins the model's state of token i
// with the embedding of token i + 1 and runs one more decoder layer. Embedding and head are the
// model's own.
class MultiTokenPrediction {
 public:
  MultiTokenPrediction(const ModelConfig& config, std::int64_t layer);

  struct States {
    Tensor residual;  // [T, hidden], input of the next module
    Tensor normed;    // [T, hidden], input of the head
  };
  // states [T, hidden]: the model's normed states, or the residual of the module before.
  // next_embeddings [T, hidden]: of each row's next token.
  States forward(const ForwardContext& ctx, const Tensor& states, const Tensor& next_embeddings,
                 const Batch& batch, const KvLayer& cache, const RopeTable& table,
                 const ForwardOptions& options);
  void visit(const WeightVisitor& visitor);
  void refresh(Backend& backend, Precision precision, bool training);
  DecoderLayer& layer() { return layer_; }

 private:
  float eps_;
  TableWeight embedding_norm_, hidden_norm_;
  LinearWeight projection_;  // [hidden, 2 hidden]: embedding half first, as checkpoints have it
  DecoderLayer layer_;
  TableWeight final_norm_;
};

// Whether a weight belongs to one of a layer's routed experts.
bool is_routed_expert(std::string_view name);

// Weights with their checkpoint names and extents, values still empty.
Weight make_weight(std::string name, Shape shape);
LinearWeight make_linear(const std::string& name, std::int64_t out, std::int64_t in,
                         bool bias = false);
TableWeight make_norm(std::string name, std::int64_t size);

}  // namespace r1
