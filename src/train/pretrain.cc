#include "train/pretrain.h"

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "base/progress.h"
#include "text/tokenizer_json.h"
#include "train/checkpoint.h"
#include "train/data.h"
#include "train/language_model_loss.h"
#include "train/metrics.h"
#include "train/run_summary.h"

namespace r1::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// One run: what it trains, from where, and what it has done.
class Pretraining {
 public:
  Pretraining(const PretrainRecipe& recipe, const RunOptions& options)
      : recipe_(recipe),
        options_(options),
        run_(recipe.run.output_dir),
        backend_(thread_count(recipe.run)),
        text_(recipe.data, recipe.max_length),
        resolved_(resolved_yaml(recipe)) {}

  void run() {
    if (recipe_.run.eval_steps > 0) {
      throw Error("eval_steps", "pre-training has no held-out evaluation",
                  "leave the key out and measure the model with r1 eval");
    }
    const std::optional<std::filesystem::path> resumed =
        checkpoint_to_resume(run_.root(), options_);
    tokenizer_ = resumed                      ? text::load_tokenizer(*resumed)
                 : recipe_.model.path.empty() ? text_.train_tokenizer()
                                              : text::load_tokenizer(recipe_.model.path);
    make_model();
    optimizer_.emplace(*model_, recipe_.optimizer);
    if (resumed) {
      state_ = load_checkpoint(backend_, *resumed, checkpoint(), resolved_);
      prune_checkpoints(run_.root(), recipe_.run.save_total_limit, state_.best_step);
    }
    run_.create();
    write_file_atomically(run_.recipe(), resolved_);
    announce();

    MetricsWriter metrics(run_, resumed ? std::optional(state_.step) : std::nullopt);
    ProgressOptions shown;
    shown.start = state_.step;
    Progress progress("pretrain", recipe_.run.max_steps, std::move(shown));
    while (state_.step < recipe_.run.max_steps) {
      step(metrics, progress);
      const bool last = state_.step == recipe_.run.max_steps;
      const std::int64_t every = recipe_.run.save_steps;
      if (last || (every > 0 && state_.step % every == 0)) {
        metrics.sync();
        save_checkpoint(run_.root(), checkpoint(), state_, model_files(), resolved_,
                        recipe_.run.save_total_limit);
      }
    }
    AtomicDirectory directory(run_.root() / "model");
    save_model(directory.path(), *model_, model_files());
    directory.commit();
  }

 private:
  ModelFiles model_files() const { return {*tokenizer_, text_.prompt_template()}; }
  Checkpoint checkpoint() { return {*model_, *optimizer_, nullptr}; }

  // A new model, or the one to go on with, its positions scaled as the recipe says.
  void make_model() {
    const std::string& path = recipe_.model.path;
    std::unique_ptr<Model> start;
    ModelConfig config;
    if (path.empty()) {
      config = parse_config(
          model_config_json(recipe_.model, tokenizer_->vocab_size(), recipe_.run.precision),
          "model");
    } else {
      start = Model::load(backend_, path, r1::Precision::f32, true);
      config = start->config();
      config.torch_dtype = recipe_.run.precision == Precision::kBf16 ? "bfloat16" : "float32";
    }
    scale_positions(recipe_.rope_scaling, config);
    if (recipe_.max_length > config.max_position_embeddings) {
      throw Error("max_length",
                  fmt::format("{} tokens are more than the model's context of {}",
                              recipe_.max_length, config.max_position_embeddings),
                  "extend it with rope_scaling");
    }
    model_ = Model::initialise(backend_, config, config.precision(), recipe_.run.seed);
    if (start) model_->copy_weights(backend_, *start);
  }

  static void scale_positions(const RopeScalingRecipe& recipe, ModelConfig& config) {
    if (recipe.factor == 1.0) return;
    config.rope_scaling =
        YarnScaling{.factor = recipe.factor,
                    .original_max_position_embeddings = recipe.original_max_position_embeddings,
                    .beta_fast = recipe.beta_fast,
                    .beta_slow = recipe.beta_slow,
                    .mscale = recipe.mscale,
                    .mscale_all_dim = recipe.mscale_all_dim};
    config.max_position_embeddings = static_cast<std::int64_t>(
        recipe.factor * static_cast<double>(recipe.original_max_position_embeddings));
  }

  struct Documents {
    std::vector<Sequence> ids;
    std::vector<std::vector<bool>> learned;

    PackedBatch pack(std::size_t first, std::size_t end) const {
      return train::pack(std::span(ids).subspan(first, end - first),
                         std::span(learned).subspan(first, end - first));
    }
  };

  // The documents of one update, from state_.next_sample on.
  Documents next_documents(std::int64_t first, std::int64_t* next) const {
    Documents documents;
    std::int64_t tokens = 0;
    while (tokens < recipe_.tokens_per_batch) {
      EncodedDocument document = text_.document(*tokenizer_, static_cast<std::uint64_t>(first));
      tokens += std::ssize(document.ids);
      documents.learned.push_back(std::move(document.learned));
      documents.ids.push_back(std::move(document.ids));
      ++first;
    }
    *next = first;
    return documents;
  }

  LanguageModelLossConfig loss_config() const {
    return {recipe_.mtp_loss_weight, recipe_.seq_balance_alpha, recipe_.run.gradient_checkpointing};
  }

  // Measures one micro-batch, which leaves no trace in the weights, and tells what is to come.
  void announce() {
    std::int64_t next = 0;
    const Documents documents = next_documents(state_.next_sample, &next);
    const std::size_t end =
        cut_by_tokens(lengths_of(documents.ids), recipe_.micro_batch_tokens).front();
    const PackedBatch packed = documents.pack(0, end);
    const UpdateLabels labels = count_labels(packed, model_->prediction_modules());
    // The first pass pays for fresh memory; the second is what all others cost.
    double seconds = 0.0;
    for (int pass = 0; pass < 2; ++pass) {
      const Clock::time_point start = Clock::now();
      language_model_loss(backend_, arena_, *model_, packed, labels, loss_config());
      seconds = seconds_since(start);
    }
    model_->clear_gradients();

    RunSummary summary;
    summary.stage = "pretrain";
    summary.parameters = count_parameters(model_->config());
    summary.memory_bytes = peak_memory_bytes();
    summary.steps = recipe_.run.max_steps - state_.step;
    summary.tokens = summary.steps * recipe_.tokens_per_batch;
    summary.seconds =
        seconds * static_cast<double>(summary.tokens) / static_cast<double>(packed.batch.rows());
    summary.threads = backend_.threads();
    summary.isa = name_of(backend_.isa());
    fmt::print(stderr, "{}\n", to_line(summary));
  }

  void step(MetricsWriter& metrics, Progress& progress) {
    const Clock::time_point start = Clock::now();
    std::int64_t next = 0;
    const Documents documents = next_documents(state_.next_sample, &next);
    std::vector<PackedBatch> batches;
    UpdateLabels labels;
    std::size_t first = 0;
    for (const std::size_t end :
         cut_by_tokens(lengths_of(documents.ids), recipe_.micro_batch_tokens)) {
      batches.push_back(documents.pack(first, end));
      add_labels(labels, count_labels(batches.back(), model_->prediction_modules()));
      first = end;
    }

    LanguageModelLoss sum;
    std::int64_t tokens = 0;
    for (const PackedBatch& batch : batches) {
      const LanguageModelLoss part =
          language_model_loss(backend_, arena_, *model_, batch, labels, loss_config());
      add_loss(sum, part);
      tokens += batch.batch.rows();
    }
    model_->collect_gradients();
    const double rate = learning_rate_at(recipe_.optimizer, state_.step, recipe_.run.max_steps);
    update_routing_bias(*model_, sum.expert_load, recipe_.router_bias_update_speed);
    const double norm = optimizer_->step(backend_, rate);
    ++state_.step;
    state_.next_sample = next;
    state_.tokens += tokens;

    const double loss = sum.next_token / static_cast<double>(labels.next_token);
    if (state_.step % recipe_.run.logging_steps == 0) {
      std::vector<Metric> row = {{"loss", loss}};
      if (model_->prediction_modules() > 0) {
        std::int64_t further = 0;
        for (const std::int64_t count : labels.further) further += count;
        row.emplace_back("mtp_loss", sum.further / static_cast<double>(further));
      }
      row.emplace_back("grad_norm", norm);
      row.emplace_back("learning_rate", rate);
      row.emplace_back("expert_load/max_over_mean", largest_load(sum.expert_load));
      row.emplace_back("num_tokens", state_.tokens);
      row.emplace_back("epoch", static_cast<double>(state_.next_sample) /
                                    static_cast<double>(recipe_.data.documents));
      metrics.log(state_.step, row);
      const double seconds = seconds_since(start);
      metrics.log_timing(state_.step, std::vector<Metric>{{"step_time", seconds},
                                                          {"tokens_per_second",
                                                           static_cast<double>(tokens) / seconds}});
    }
    progress.update(state_.step, fmt::format("loss {:.4f}", loss));
  }

  static void add_loss(LanguageModelLoss& sum, const LanguageModelLoss& part) {
    sum.next_token += part.next_token;
    sum.further += part.further;
    sum.expert_load.resize(part.expert_load.size());
    for (std::size_t layer = 0; layer < part.expert_load.size(); ++layer) {
      sum.expert_load[layer].resize(part.expert_load[layer].size());
      for (std::size_t i = 0; i < part.expert_load[layer].size(); ++i) {
        sum.expert_load[layer][i] += part.expert_load[layer][i];
      }
    }
  }

  // The busiest expert's load over the mean, of the least balanced layer; 1 is perfect.
  static double largest_load(const std::vector<std::vector<std::int64_t>>& load) {
    double largest = 0.0;
    for (const std::vector<std::int64_t>& layer : load) {
      double total = 0.0, busiest = 0.0;
      for (const std::int64_t tokens : layer) {
        total += static_cast<double>(tokens);
        busiest = std::max(busiest, static_cast<double>(tokens));
      }
      if (total > 0.0)
        largest = std::max(largest, busiest * static_cast<double>(layer.size()) / total);
    }
    return largest;
  }

  const PretrainRecipe& recipe_;
  const RunOptions& options_;
  RunDirectory run_;
  Backend backend_;
  TrainingText text_;
  std::string resolved_;
  Arena arena_;
  std::optional<text::Tokenizer> tokenizer_;
  std::unique_ptr<Model> model_;
  std::optional<Optimizer> optimizer_;
  RunState state_;
};

}  // namespace

void run_pretrain(const PretrainRecipe& recipe, const RunOptions& options) {
  Pretraining(recipe, options).run();
}

}  // namespace r1::train
