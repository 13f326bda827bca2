#include "model/model.h"

#include <algorithm>
#include <numeric>

#include "base/file.h"
#include "base/rng.h"
#include "formats/safetensors.h"
#include "model/memory_plan.h"
#include "model/rope.h"

namespace r1 {
namespace {

// Positions times pairs that a table of angles may hold (two floats each).
constexpr std::int64_t kMaxRopeEntries = std::int64_t{1} << 27;

}  // namespace

Model::Model(const ModelConfig& config, Precision precision)
    : config_(config), precision_(precision) {
  check_config(config, "model config");
  if (config.max_position_embeddings * config.rope_dim() / 2 > kMaxRopeEntries) {
    throw Error("max_position_embeddings",
                fmt::format("{} positions are too many", config.max_position_embeddings));
  }
  rope_ = make_rope_table(config, 0);
  embedding_.weight =
      make_weight("model.embed_tokens.weight", {config.vocab_size, config.hidden_size});
  for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    layers_.emplace_back(config, layer, config.is_moe_layer(layer));
  }
  final_norm_ = make_norm("model.norm", config.hidden_size);
  head_ = make_linear("lm_head", config.vocab_size, config.hidden_size);
  for (std::int64_t depth = 0; depth < config.num_nextn_predict_layers; ++depth) {
    predictors_.emplace_back(config, config.num_hidden_layers + depth);
  }
}

std::vector<Model::Part> Model::parts() {
  std::vector<Part> parts;
  parts.push_back({[this](const WeightVisitor& visitor) { visitor(embedding_.weight); },
                   [this](Backend& backend) {
                     embedding_.refresh(backend, precision_);
                     if (!config_.tie_word_embeddings) return;
                     // The embedding's is the master.
                     if (embedding_.weight.stored) {
                       head_.weight.stored = embedding_.weight.stored->view();
                     } else {
                       head_.weight.value = embedding_.weight.value.clone();
                     }
                     head_.refresh(backend, precision_, training_);
                     head_.weight.value = {};
                     head_.weight.stored.reset();
                   }});
  for (DecoderLayer& layer : layers_) {
    parts.push_back(
        {[&layer](const WeightVisitor& visitor) { layer.visit(visitor); },
         [&layer, this](Backend& backend) { layer.refresh(backend, precision_, training_); }});
  }
  parts.push_back({[this](const WeightVisitor& visitor) { visitor(final_norm_.weight); },
                   [this](Backend& backend) { final_norm_.refresh(backend, precision_); }});
  if (!config_.tie_word_embeddings) {
    parts.push_back({[this](const WeightVisitor& visitor) { visitor(head_.weight); },
                     [this](Backend& backend) { head_.refresh(backend, precision_, training_); }});
  }
  for (MultiTokenPrediction& predictor : predictors_) {
    parts.push_back({[&predictor](const WeightVisitor& visitor) { predictor.visit(visitor); },
                     [&predictor, this](Backend& backend) {
                       predictor.refresh(backend, precision_, training_);
                     }});
  }
  return parts;
}

void Model::visit_weights(const WeightVisitor& visitor) {
  for (const Part& part : parts()) part.visit(visitor);
}

void Model::refresh(Backend& backend) {
  for (const Part& part : parts()) part.refresh(backend);
  ++version_;
}

void Model::copy_weights(Backend& backend, Model& source) {
  std::vector<const Weight*> weights;
  source.visit_weights([&](Weight& weight) { weights.push_back(&weight); });
  std::size_t next = 0;
  visit_weights([&](Weight& weight) {
    const Weight& from = *weights[next++];
    R1_CHECK(from.name == weight.name && from.value.size() == weight.value.size(), "{} and {}",
             from.name, weight.name);
    std::copy(from.value.begin(), from.value.end(), weight.value.begin());
  });
  refresh(backend);
}

void Model::allocate_gradients() {
  visit_weights([](Weight& weight) {
    if (weight.trainable) {
      weight.gradient = AlignedBuffer<float>(static_cast<std::size_t>(weight.count()));
    }
  });
  if (config_.tie_word_embeddings) {
    head_.weight.gradient = AlignedBuffer<float>(static_cast<std::size_t>(head_.weight.count()));
  }
}

void Model::collect_gradients() {
  if (!config_.tie_word_embeddings) return;
  AlignedBuffer<float>& sum = embedding_.weight.gradient;
  AlignedBuffer<float>& part = head_.weight.gradient;
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
  std::fill(part.begin(), part.end(), 0.0f);
}

void Model::clear_gradients() {
  visit_weights(
      [](Weight& weight) { std::fill(weight.gradient.begin(), weight.gradient.end(), 0.0f); });
  if (!config_.tie_word_embeddings) return;
  // A tied head is not visited, but its share may wait to be collected.
  AlignedBuffer<float>& part = head_.weight.gradient;
  std::fill(part.begin(), part.end(), 0.0f);
}

std::unique_ptr<Model> Model::load(Backend& backend, std::shared_ptr<const WeightSource> source,
                                   Precision precision, const LoadOptions& options) {
  auto model = std::make_unique<Model>(source->config(), precision);
  model->training_ = options.training;
  model->source_ = std::move(source);
  if (!options.training && precision == Precision::bf16) model->place_experts(options);
  if (options.memory > 0 && model->expert_memory_ == nullptr) {
    // Nothing can stay in the file, so all of it must fit.
    const std::int64_t needed = plan_memory(*model->source_, {}).weights();
    if (needed > options.memory) {
      throw Error(
          "memory",
          fmt::format("the weights take {:.1f} MB, the budget is {:.1f} MB",
                      static_cast<double>(needed) * 1e-6,
                      static_cast<double>(options.memory) * 1e-6),
          "allow more memory, or quantise the model; only routed experts can stay in a file");
    }
  }
  model->read_weights(backend, options);
  if (options.training) model->source_.reset();
  model->version_ = 1;
  if (options.training) model->allocate_gradients();
  return model;
}

void Model::place_experts(const LoadOptions& options) {
  const std::vector<MixtureOfExperts*> layers = mixtures();
  if (layers.empty()) return;
  std::int64_t slot_bytes = 0, slots = 0;
  bool in_file = true;
  for (MixtureOfExperts* layer : layers) {
    for (ExpertWeight& expert : layer->experts()) {
      for (LinearWeight* linear : {&expert.gate, &expert.up, &expert.down}) {
        linear->weight.stored = source_->stored(linear->weight.name, linear->weight.shape);
        if (!linear->weight.stored) {
          if (options.memory == 0) return;  // read as numbers, with all the others
          throw Error("memory", fmt::format("\"{}\" cannot be read on demand", linear->weight.name),
                      "convert the model to GGUF, or give no budget");
        }
        linear->weight.stored->product = options.quantized;
        in_file = in_file && linear->weight.stored->panels;
      }
      slot_bytes = std::max(slot_bytes, ExpertMemory::bytes_for(expert));
      ++slots;
    }
  }
  if (in_file && options.memory == 0) return;  // they are multiplied where they lie
  if (options.memory > 0) {
    const MemoryPlan plan = plan_memory(*source_, {});
    slots = std::min(slots, (options.memory - plan.weights() + plan.routed_experts) / slot_bytes);
  }
  expert_memory_ =
      std::make_unique<ExpertMemory>(slots, slot_bytes, config_.n_routed_experts, in_file);
  for (MixtureOfExperts* layer : layers) layer->use(*expert_memory_);
}

void Model::read_weights(Backend& backend, const LoadOptions& options) {
  for (const Part& part : parts()) {
    part.visit([&](Weight& weight) {
      if (weight.stored) return;  // an expert's
      // Vectors are small, and the routing bias is read as numbers.
      if (!options.training && precision_ == Precision::bf16 && weight.shape.rank() == 2) {
        weight.stored = source_->stored(weight.name, weight.shape);
      }
      if (weight.stored) {
        weight.stored->product = options.quantized;
      } else {
        weight.value = source_->read(weight.name, weight.shape);
      }
    });
    part.refresh(backend);
    if (options.training) continue;
    part.visit([&](Weight& weight) {
      // The routing bias has no working copy: it is read as it is.
      if (weight.trainable) weight.value = {};
      if (!weight.stored || (expert_memory_ != nullptr && is_routed_expert(weight.name))) return;
      if (weight.stored->mapped && !weight.stored->panels) have_read(weight.stored->bytes);
      weight.stored.reset();
    });
  }
  if (expert_memory_ == nullptr) return;
  // As many as there is room for, in the order of the layers.
  std::vector<std::int32_t> all(static_cast<std::size_t>(config_.n_routed_experts));
  std::iota(all.begin(), all.end(), 0);
  std::int64_t room = expert_memory_->slots();
  for (MixtureOfExperts* layer : mixtures()) {
    room -= config_.n_routed_experts;
    if (room < 0) break;
    expert_memory_->require(backend, layer->experts(), all);
  }
  if (room < 0) return;
  // All are there for good.
  visit_weights([](Weight& weight) { weight.stored.reset(); });
}

std::unique_ptr<Model> Model::load(Backend& backend, const std::filesystem::path& path,
                                   Precision precision, bool training) {
  return load(backend, WeightSource::open(path), precision, {.training = training});
}

std::unique_ptr<Model> Model::load(Backend& backend, const std::filesystem::path& path,
                                   const LoadOptions& options) {
  std::shared_ptr<const WeightSource> source = WeightSource::open(path);
  const Precision precision = source->config().precision();
  return load(backend, std::move(source), precision, options);
}

std::unique_ptr<Model> Model::initialise(Backend& backend, const ModelConfig& config,
                                         Precision precision, std::uint64_t seed) {
  auto model = std::make_unique<Model>(config, precision);
  std::uint32_t index = 0;
  model->visit_weights([&](Weight& weight) {
    weight.value = AlignedBuffer<float>(static_cast<std::size_t>(weight.count()));
    Rng rng(seed, 0, index++);
    if (!weight.trainable) return;
    if (weight.name.ends_with(".bias")) return;  // zeros
    for (float& value : weight.value) {
      value = weight.shape.rank() == 1
                  ? 1.0f
                  : rng.normal() * static_cast<float>(config.initializer_range);
    }
  });
  model->refresh(backend);
  model->allocate_gradients();
  return model;
}

void Model::save(const std::filesystem::path& directory) const {
  // Visiting hands out mutable weights; saving only reads them.
  Model& self = const_cast<Model&>(*this);
  ModelConfig config = config_;
  config.torch_dtype = precision_ == Precision::f32 ? "float32" : "bfloat16";
  write_file_atomically(directory / "config.json", write_config(config));

  std::vector<TensorSpec> specs;
  self.visit_weights([&](Weight& weight) {
    std::vector<std::int64_t> shape;
    for (int axis = 0; axis < weight.shape.rank(); ++axis) shape.push_back(weight.shape[axis]);
    const bool exact = precision_ == Precision::f32 || !weight.trainable;
    specs.push_back({weight.name, exact ? DType::f32 : DType::bf16, std::move(shape)});
  });
  SafetensorsWriter writer(directory / "model.safetensors", std::move(specs), {{"format", "pt"}});
  self.visit_weights([&](Weight& weight) {
    R1_CHECK(!weight.value.empty(), "{} was dropped", weight.name);
    writer.append(weight.name, weight.value.span());
  });
  writer.commit();
}

std::vector<MixtureOfExperts*> Model::mixtures() {
  std::vector<MixtureOfExperts*> mixtures;
  for (DecoderLayer& layer : layers_) {
    if (layer.mixture() != nullptr) mixtures.push_back(layer.mixture());
  }
  for (MultiTokenPrediction& predictor : predictors_) {
    if (predictor.layer().mixture() != nullptr) mixtures.push_back(predictor.layer().mixture());
  }
  return mixtures;
}

void Model::prepare_positions(const Batch& batch) {
  if (batch.positions.empty()) return;
  const std::int64_t last = *std::ranges::max_element(batch.positions);
  R1_CHECK(last < config_.max_position_embeddings, "position {} of {}", last,
           config_.max_position_embeddings);
  // In steps, so that a long context is not paid for before it is used.
  constexpr std::int64_t kStep = 1024;
  const std::int64_t wanted = (last / kStep + 1) * kStep;
  extend_rope_table(config_, std::min(wanted, config_.max_position_embeddings), rope_);
}

Tensor Model::forward(const ForwardContext& ctx, const Batch& batch,
                      const ForwardOptions& options) {
  prepare_positions(batch);
  ForwardTrace* trace = options.trace;
  const auto observe = [&](const Tensor& x) {
    if (trace != nullptr && trace->want_hidden) trace->hidden.push_back(x);
  };
  // Nobody asks for a layer's insides once it is done: only its output stays.
  const bool forgets = ctx.tape == nullptr && (trace == nullptr || !trace->want_hidden);
  const Arena::Mark mark = ctx.arena.mark();
  Tensor x = embedding(ctx, embedding_, batch.ids);
  observe(x);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    DecoderLayer& layer = layers_[i];
    const KvLayer cache =
        batch.cache != nullptr ? batch.cache->layer(static_cast<std::int64_t>(i)) : KvLayer{};
    if (options.recompute_layers && ctx.tape != nullptr) {
      // Runs now and again in the backward; only the first run is traced.
      x = recomputed(ctx, x,
                     [this, &layer, &batch, options = options, cache](const ForwardContext& inner,
                                                                      const Tensor& input) mutable {
                       const Tensor output =
                           layer.forward(inner, input, batch, cache, rope_, options);
                       options.trace = nullptr;
                       return output;
                     });
    } else {
      x = layer.forward(ctx, x, batch, cache, rope_, options);
    }
    if (forgets) x.data = ctx.arena.keep(mark, x.data, x.shape.count());
    observe(x);
  }
  x = rms_norm(ctx, x, final_norm_, static_cast<float>(config_.rms_norm_eps));
  observe(x);
  return x;
}

MultiTokenPrediction::States Model::predict_further(const ForwardContext& ctx, std::int64_t depth,
                                                    const Tensor& previous,
                                                    std::span<const std::int32_t> next_ids,
                                                    const Batch& batch,
                                                    const ForwardOptions& options) {
  R1_CHECK(depth < prediction_modules(), "depth {} of {}", depth, prediction_modules());
  prepare_positions(batch);
  const Tensor next = embedding(ctx, embedding_, next_ids);
  const std::int64_t layer = config_.num_hidden_layers + depth;
  const KvLayer cache = batch.cache != nullptr ? batch.cache->layer(layer) : KvLayer{};
  return predictors_[static_cast<std::size_t>(depth)].forward(ctx, previous, next, batch, cache,
                                                              rope_, options);
}

}  // namespace r1
