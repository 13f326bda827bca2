#include "train/benchmark.h"

#include <algorithm>
#include <numeric>

#include "engine/engine.h"
#include "train/benchmark_clock.h"
#include "train/benchmark_work.h"
#include "train/language_model_loss.h"
#include "train/optimizer.h"

namespace r1::train {
namespace {

constexpr std::int64_t kLeastSteps = 2;
constexpr std::int64_t kGroup = 16;  // sequences that share a prompt

bool goes_on(const BenchmarkOptions& options, const StepClock& clock) {
  if (options.steps > 0) return clock.steps() < options.steps;
  return clock.steps() < kLeastSteps || clock.total_seconds() < options.seconds;
}

BenchmarkResult describe(const BenchmarkOptions& options, const Backend& backend,
                         const char* work) {
  BenchmarkResult result;
  result.work = work;
  result.shape = options.shape.name;
  result.isa = backend.isa();
  result.threads = backend.threads();
  result.parameters = count_parameters(options.shape.model);
  return result;
}

// A model in training with a fixed step's documents.
class TrainingStep {
 public:
  TrainingStep(const BenchmarkShape& shape, Backend& backend)
      : backend_(backend),
        model_(Model::initialise(backend, shape.model, r1::Precision::bf16, 1)),
        optimizer_(*model_, optimizer_config()) {
    const std::vector<Sequence> documents = random_documents(shape);
    std::size_t first = 0;
    for (const std::size_t end : cut_by_tokens(lengths_of(documents), shape.micro_batch_tokens)) {
      batches_.push_back(pack(std::span(documents).subspan(first, end - first)));
      add_labels(labels_, count_labels(batches_.back(), model_->prediction_modules()));
      first = end;
    }
  }

  // A forward and twice as much backward: each product has the gradients of both its factors.
  double flop() const {
    const ModelConfig& config = model_->config();
    const std::int64_t layers = config.num_hidden_layers + config.num_nextn_predict_layers;
    std::int64_t macs = 0;
    for (const PackedBatch& packed : batches_) {
      macs += packed.batch.rows() * (layer_macs(config) + prediction_macs(config));
      for (const SequenceSpan& span : packed.batch.spans) {
        macs += layers * attention_macs(config) * visible_keys(0, span.rows);
      }
    }
    const std::int64_t logits =
        std::accumulate(labels_.further.begin(), labels_.further.end(), labels_.next_token);
    return 3.0 * 2.0 * static_cast<double>(macs + logits * head_macs(config));
  }

  void run() {
    std::vector<std::vector<std::int64_t>> load;  // of the last batch, which is as good as any
    for (const PackedBatch& batch : batches_) {
      load = language_model_loss(backend_, arena_, *model_, batch, labels_,
                                 {.mtp_loss_weight = 0.1, .seq_balance_alpha = 1e-4})
                 .expert_load;
    }
    model_->collect_gradients();
    update_routing_bias(*model_, load, 0.001);
    optimizer_.step(backend_, 1e-4);
  }

 private:
  static OptimizerConfig optimizer_config() { return {}; }

  Backend& backend_;
  std::unique_ptr<Model> model_;
  Optimizer optimizer_;
  Arena arena_;
  std::vector<PackedBatch> batches_;
  UpdateLabels labels_;
};

}  // namespace

BenchmarkResult benchmark_training(const BenchmarkOptions& options) {
  Backend backend(options.threads);
  TrainingStep step(options.shape, backend);
  OperationClock operations;
  StepClock clock(backend);
  step.run();  // pays for fresh memory
  backend.observe(&operations);
  while (goes_on(options, clock)) {
    clock.time(step.flop(), [&] { step.run(); });
    operations.stop();
  }
  BenchmarkResult result = describe(options, backend, "train");
  result.tokens_per_step = options.shape.tokens_per_step;
  clock.summarise(result);
  result.operations = operations.per_step(clock.steps());
  return result;
}

BenchmarkResult benchmark_sampling(const BenchmarkOptions& options) {
  const BenchmarkShape& shape = options.shape;
  const ModelConfig& config = shape.model;
  Backend backend(options.threads);
  const std::unique_ptr<Model> model = Model::initialise(backend, config, r1::Precision::bf16, 1);
  EngineOptions engine_options;
  engine_options.max_sequences = options.sequences;
  Engine engine(backend, *model, engine_options);
  Rng rng(2);
  std::vector<std::int32_t> prompt(static_cast<std::size_t>(shape.prompt));
  for (std::int64_t i = 0; i < options.sequences; ++i) {
    if (i % kGroup == 0) {
      for (std::int32_t& id : prompt) {
        id = static_cast<std::int32_t>(rng.below(static_cast<std::uint32_t>(config.vocab_size)));
      }
    }
    Request request;
    request.prompt = prompt;
    request.max_tokens = shape.completion;
    request.sampling.sample = static_cast<std::uint32_t>(i);
    engine.submit(std::move(request));
  }

  OperationClock operations;
  StepClock clock(backend);
  // Tokens of all sequences so far; until all draw, steps also read prompts.
  std::int64_t tokens = shape.prompt * options.sequences, drawn = 0;
  while (drawn < options.sequences) {
    drawn = std::ssize(engine.step());
    tokens += drawn;
  }
  backend.observe(&operations);
  while (goes_on(options, clock)) {
    // Each sequence's newest token sees all of that sequence.
    const double macs =
        static_cast<double>(options.sequences * (layer_macs(config) + head_macs(config))) +
        static_cast<double>(tokens * config.num_hidden_layers * attention_macs(config));
    bool complete = true;
    clock.time(2.0 * macs, [&] {
      const std::vector<Engine::Event> events = engine.step();
      complete = std::ranges::none_of(events, &Engine::Event::finished);
    });
    operations.stop();
    tokens += options.sequences;
    if (!complete) break;
  }
  BenchmarkResult result = describe(options, backend, "sample");
  result.sequences = options.sequences;
  result.tokens_per_step = options.sequences;
  clock.summarise(result);
  result.operations = operations.per_step(clock.steps());
  return result;
}

}  // namespace r1::train
