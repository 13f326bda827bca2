#pragma once

#include <filesystem>
#include <memory>

#include "model/layers.h"
#include "model/weight_source.h"

namespace r1 {

struct LoadOptions {
  bool training = false;
  // How products read quantised matrices.
  QuantizedProduct quantized = QuantizedProduct::int8;
  // Bytes that weights may take; 0: as many as there are. Routed experts beyond it stay in the file
  // and are packed when a token is routed to them.
  std::int64_t memory = 0;
};

// A transformer: one store of weights and one forward pass, for training and inference alike.
class Model {
 public:
  // Extents and names only; values come from load() or initialise().
  Model(const ModelConfig& config, Precision precision);

  // Reads a Hugging Face directory (config.json, safetensors) or a GGUF file. With training, the
  // fp32 masters stay and gradients are allocated; without, in bf16 precision, matrices go from the
  // file into panels, quantised ones as they are. Throws Error naming the tensor that is missing or
  // has other extents, and when a budget is too small.
  static std::unique_ptr<Model> load(Backend& backend, std::shared_ptr<const WeightSource> source,
                                     Precision precision, const LoadOptions& options);
  static std::unique_ptr<Model> load(Backend& backend, const std::filesystem::path& path,
                                     Precision precision, bool training);
  // The precision that the model's own files ask for.
  static std::unique_ptr<Model> load(Backend& backend, const std::filesystem::path& path,
                                     const LoadOptions& options);
  // Normal(0, initializer_range) matrices, unit norms, zero routing bias; training.
  static std::unique_ptr<Model> initialise(Backend& backend, const ModelConfig& config,
                                           Precision precision, std::uint64_t seed);

  // Writes config.json and model.safetensors into an existing directory; BF16 in bf16 precision
  // (the working copies: what the forward reads, so a reloaded model gives the same bits).
  void save(const std::filesystem::path& directory) const;

  const ModelConfig& config() const { return config_; }
  Precision precision() const { return precision_; }
  bool training() const { return training_; }

  // Final normed states [T, hidden] of the batch's rows.
  Tensor forward(const ForwardContext& ctx, const Batch& batch, const ForwardOptions& options = {});
  // States of prediction module `depth` (0: one token further than the model itself), normed for
  // the head. `previous` is the model's forward() or the residual of the module before;
  // next_ids [T]: each row's next token at that depth. With options.wanted_rows, theirs alone.
  MultiTokenPrediction::States predict_further(const ForwardContext& ctx, std::int64_t depth,
                                               const Tensor& previous,
                                               std::span<const std::int32_t> next_ids,
                                               const Batch& batch,
                                               const ForwardOptions& options = {});
  std::int64_t prediction_modules() const { return static_cast<std::int64_t>(predictors_.size()); }
  // The output head, for logits() and token_log_probs().
  LinearWeight& head() { return head_; }

  // Every weight in checkpoint order; a tied head is visited as the embedding.
  void visit_weights(const WeightVisitor& visitor);
  // The routed experts' memory, of a model loaded without training from a file whose rows can be
  // packed as they are; null otherwise.
  const ExpertMemory* expert_memory() const { return expert_memory_.get(); }
  // MoE layers in order, those of the prediction modules last.
  std::vector<MixtureOfExperts*> mixtures();

  // Takes over the masters of a model of the same config, and refreshes.
  void copy_weights(Backend& backend, Model& source);
  // After a change of the masters: renews what forward passes read. Raises version().
  void refresh(Backend& backend);
  std::uint64_t version() const { return version_; }
  // A tied head's gradient joins the embedding's; call after the backward, before reading any.
  void collect_gradients();
  void clear_gradients();

 private:
  // The weights that are loaded, packed and dropped together.
  struct Part {
    std::function<void(const WeightVisitor&)> visit;
    std::function<void(Backend&)> refresh;
  };
  std::vector<Part> parts();
  void allocate_gradients();
  // The angles of the batch's positions.
  void prepare_positions(const Batch& batch);
  void read_weights(Backend& backend, const LoadOptions& options);
  // Lays out the experts' memory within the budget, if the source holds their rows as they are.
  void place_experts(const LoadOptions& options);

  ModelConfig config_;
  Precision precision_;
  bool training_ = true;
  std::uint64_t version_ = 0;
  RopeTable rope_;
  TableWeight embedding_;
  std::vector<DecoderLayer> layers_;
  TableWeight final_norm_;
  LinearWeight head_;
  std::vector<MultiTokenPrediction> predictors_;
  // For inference: the embedding, panels and experts that are read on demand stay in its files.
  std::shared_ptr<const WeightSource> source_;
  std::unique_ptr<ExpertMemory> expert_memory_;
};

}  // namespace r1
