#include "train/grpo.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/file.h"
#include "base/progress.h"
#include "text/tokenizer_json.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/policy_forward.h"
#include "train/policy_loss.h"
#include "train/run_summary.h"

namespace r1::train {
namespace {

using Clock = std::chrono::steady_clock;
using SamplePointers = std::vector<const RolloutSample*>;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

SamplePointers pointers_to(std::span<const RolloutSample> samples) {
  SamplePointers pointers;
  for (const RolloutSample& sample : samples) pointers.push_back(&sample);
  return pointers;
}

std::int64_t completion_tokens(std::span<const RolloutSample* const> samples) {
  return std::transform_reduce(
      samples.begin(), samples.end(), std::int64_t{0}, std::plus<>(),
      [](const RolloutSample* sample) { return sample->completion_length(); });
}

// The on-policy invariant. A difference is a bug of ours or of the machine, never of the user.
void check_on_policy(const RolloutSample& sample, const float* log_probs) {
  for (std::size_t t = 0; t < sample.log_probs.size(); ++t) {
    R1_CHECK(std::memcmp(&sample.log_probs[t], log_probs + t, sizeof(float)) == 0,
             "token {}: the sampler gave log-probability {}, the trainer {}", t,
             sample.log_probs[t], log_probs[t]);
  }
}

struct Spread {
  double mean = 0.0, std = 0.0;
};
Spread spread_of(std::span<const double> values) {
  Spread spread;
  const double count = static_cast<double>(values.size());
  for (const double value : values) spread.mean += value / count;
  for (const double value : values) {
    spread.std += (value - spread.mean) * (value - spread.mean) / std::max(1.0, count - 1.0);
  }
  spread.std = std::sqrt(spread.std);
  return spread;
}

class Reinforcement {
 public:
  Reinforcement(const GrpoRecipe& recipe, const RunOptions& options)
      : recipe_(recipe),
        options_(options),
        run_(recipe.run.output_dir),
        backend_(thread_count(recipe.run)),
        resolved_(resolved_yaml(recipe)),
        tokenizer_(text::load_tokenizer(recipe.model)) {}

  void run() {
    const auto resumed = checkpoint_to_resume(run_.root(), options_);
    const bool fp32 = recipe_.run.precision == Precision::kFp32;
    const r1::Precision precision = fp32 ? r1::Precision::f32 : r1::Precision::bf16;
    model_ = Model::load(backend_, recipe_.model, precision, true);
    if (recipe_.beta > 0.0) {
      const std::string& path = recipe_.ref_model.empty() ? recipe_.model : recipe_.ref_model;
      reference_ = Model::load(backend_, path, precision, true);
    }
    optimizer_.emplace(*model_, recipe_.optimizer);
    engine_.emplace(backend_, *model_, engine_options());
    source_.emplace(recipe_, tokenizer_, *engine_);
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
    Progress progress("grpo", recipe_.run.max_steps, std::move(shown));
    if (!resumed) evaluate(metrics);
    while (state_.step < recipe_.run.max_steps) {
      const std::int64_t before = state_.step;
      iterate(metrics, progress);
      const bool last = state_.step >= recipe_.run.max_steps;
      if (last || crossed(before, recipe_.run.eval_steps)) evaluate(metrics);
      if (last || crossed(before, recipe_.run.save_steps)) {
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
  Checkpoint checkpoint() { return {*model_, *optimizer_, reference_.get()}; }
  ModelFiles model_files() const { return {tokenizer_, recipe_.prompt_template}; }
  // Whether a multiple of `every` lies in (before, now]. Checkpoints stand between rollouts.
  bool crossed(std::int64_t before, std::int64_t every) const {
    return every > 0 && state_.step / every > before / every;
  }

  EngineOptions engine_options() const {
    const std::int64_t samples = recipe_.prompts_per_step * recipe_.num_generations;
    EngineOptions options;
    options.max_sequences = std::min<std::int64_t>(samples, 256);
    // Passes of one size, so that the first rollout shows what memory any later one needs.
    options.max_batch_rows = 2 * options.max_sequences;
    return options;
  }

  // Samples the first rollout, which is then used, and measures one micro-batch of it, which leaves
  // no trace in the weights.
  void announce() {
    Clock::time_point start = Clock::now();
    prepared_ = source_->sample(state_.step, state_.next_sample, &prepared_next_);
    const double sampling = seconds_since(start) / static_cast<double>(recipe_.prompts_per_step);

    // A micro-batch as full as those of the run.
    SamplePointers samples;
    std::int64_t tokens = 0;
    for (std::size_t i = 0; tokens < recipe_.micro_batch_tokens; ++i) {
      samples.push_back(&prepared_->samples[i % prepared_->samples.size()]);
      tokens += std::ssize(samples.back()->ids);
    }
    double training = 0.0;
    for (int pass = 0; pass < 2; ++pass) {
      start = Clock::now();
      PolicyLossTotals totals;
      train_on(samples, {}, completion_tokens(samples), std::ssize(samples), false, totals);
      training = seconds_since(start);
    }
    model_->clear_gradients();
    training *= static_cast<double>(recipe_.num_generations) / static_cast<double>(samples.size());

    RunSummary summary;
    summary.stage = "grpo";
    summary.parameters = count_parameters(model_->config());
    summary.memory_bytes = peak_memory_bytes();
    summary.steps = recipe_.run.max_steps - state_.step;
    const double prompts = static_cast<double>(recipe_.prompts_per_step * summary.steps);
    summary.seconds = prompts * (sampling / static_cast<double>(recipe_.updates_per_rollout()) +
                                 training / static_cast<double>(recipe_.steps_per_generation));
    summary.threads = backend_.threads();
    summary.isa = name_of(backend_.isa());
    fmt::print(stderr, "{}\n", to_line(summary));
  }

  void evaluate(MetricsWriter& metrics) {
    if (recipe_.run.eval_steps == 0) return;
    const double accuracy = source_->held_out_accuracy(recipe_.run.eval_problems);
    metrics.log(state_.step, std::vector<Metric>{{"eval/accuracy", accuracy}});
    if (state_.best_step < 0 || accuracy > state_.best_score) {
      state_.best_score = accuracy;
      state_.best_step = state_.step;
    }
  }

  Rollout next_rollout() {
    if (prepared_) {
      state_.next_sample = prepared_next_;
      return *std::exchange(prepared_, std::nullopt);
    }
    std::int64_t next = 0;
    Rollout rollout = source_->sample(state_.step, state_.next_sample, &next);
    state_.next_sample = next;
    return rollout;
  }

  // One rollout and the updates it feeds.
  void iterate(MetricsWriter& metrics, Progress& progress) {
    const Clock::time_point start = Clock::now();
    const Rollout rollout = next_rollout();
    const double sampling_seconds = seconds_since(start);
    const SamplePointers samples = pointers_to(rollout.samples);
    if (!checked_whole_rollout_) {
      const auto log_probs = completion_log_probs(backend_, arena_, *model_, samples,
                                                  recipe_.temperature, recipe_.micro_batch_tokens);
      for (std::size_t i = 0; i < samples.size(); ++i) {
        check_on_policy(*samples[i], log_probs[i].data());
      }
      checked_whole_rollout_ = true;
    }
    std::vector<std::vector<float>> reference;
    if (reference_ != nullptr) {
      reference = completion_log_probs(backend_, arena_, *reference_, samples, recipe_.temperature,
                                       recipe_.micro_batch_tokens);
    }

    const std::size_t size = static_cast<std::size_t>(recipe_.minibatch_completions());
    for (std::int64_t pass = 0; pass < recipe_.num_iterations; ++pass) {
      for (std::size_t first = 0; first < samples.size(); first += size) {
        if (state_.step >= recipe_.run.max_steps) return;
        const std::size_t count = std::min(size, samples.size() - first);
        const bool fresh = pass == 0 && first == 0;
        std::vector<Metric> row =
            update(std::span(samples).subspan(first, count),
                   reference.empty() ? std::span<const std::vector<float>>{}
                                     : std::span(reference).subspan(first, count),
                   fresh);
        if (fresh) {
          append_rollout_metrics(rollout, row);
          log_samples(rollout, metrics, progress);
        }
        metrics.log(state_.step, row);
        if (recipe_.sync_ref_model && reference_ != nullptr &&
            state_.step % recipe_.ref_model_sync_steps == 0) {
          reference_->copy_weights(backend_, *model_);
        }
      }
    }
    const double seconds = seconds_since(start);
    metrics.log_timing(
        state_.step,
        std::vector<Metric>{
            {"step_time", seconds},
            {"sampling_time", sampling_seconds},
            {"tokens_per_second", static_cast<double>(completion_tokens(samples)) / seconds}});
    std::int64_t correct = 0;
    for (const RolloutSample& sample : rollout.samples) correct += sample.parts.correct ? 1 : 0;
    progress.update(state_.step, fmt::format("accuracy {:.3f} length {:.0f}",
                                             static_cast<double>(correct) /
                                                 static_cast<double>(rollout.samples.size()),
                                             static_cast<double>(completion_tokens(samples)) /
                                                 static_cast<double>(samples.size())));
  }

  // One optimiser update on a minibatch.
  std::vector<Metric> update(std::span<const RolloutSample* const> minibatch,
                             std::span<const std::vector<float>> reference, bool fresh) {
    const std::int64_t all_tokens = completion_tokens(minibatch);
    // What has no advantage and no reference to stay near has no gradient: not even computed.
    SamplePointers active;
    std::vector<std::vector<float>> active_reference;
    for (std::size_t i = 0; i < minibatch.size(); ++i) {
      const bool masked = recipe_.mask_truncated_completions && minibatch[i]->truncated;
      if (masked || (reference.empty() && minibatch[i]->advantage == 0.0)) continue;
      active.push_back(minibatch[i]);
      if (!reference.empty()) active_reference.push_back(reference[i]);
    }
    PolicyLossTotals totals;
    std::size_t first = 0;
    for (const std::size_t end : cut_samples(active, recipe_.micro_batch_tokens)) {
      const auto part = std::span<const RolloutSample* const>(active).subspan(first, end - first);
      train_on(part,
               active_reference.empty() ? std::span<const std::vector<float>>{}
                                        : std::span(active_reference).subspan(first, end - first),
               all_tokens, std::ssize(minibatch), fresh, totals);
      first = end;
    }
    model_->collect_gradients();
    const double rate = learning_rate_at(recipe_.optimizer, state_.step, recipe_.run.max_steps);
    const double norm = optimizer_->step(backend_, rate);
    ++state_.step;
    state_.tokens += all_tokens;

    const double tokens = static_cast<double>(std::max<std::int64_t>(totals.tokens, 1));
    std::vector<Metric> row = {{"loss", totals.loss}, {"grad_norm", norm}, {"learning_rate", rate}};
    if (reference_ != nullptr) row.emplace_back("kl", totals.kl / tokens);
    row.emplace_back("clip_ratio/low_mean", static_cast<double>(totals.clipped_low) / tokens);
    row.emplace_back("clip_ratio/high_mean", static_cast<double>(totals.clipped_high) / tokens);
    row.emplace_back("clip_ratio/region_mean",
                     static_cast<double>(totals.clipped_low + totals.clipped_high) / tokens);
    row.emplace_back("num_tokens", state_.tokens);
    return row;
  }

  // Forward and backward of one micro-batch; adds to the gradients and the totals.
  void train_on(std::span<const RolloutSample* const> samples,
                std::span<const std::vector<float>> reference, std::int64_t all_tokens,
                std::int64_t completions, bool fresh, PolicyLossTotals& totals) {
    const ArenaScope scope(arena_);
    Tape tape(arena_);
    const ForwardContext ctx{backend_, arena_, model_->precision(), &tape};
    Batch batch;
    const PolicyForward forward = policy_forward(ctx, *model_, samples, recipe_.temperature,
                                                 recipe_.run.gradient_checkpointing, batch);
    float* gradient = tape.gradient(forward.log_probs);
    const PolicyLossConfig config{recipe_.epsilon, recipe_.upper_epsilon(),
                                  reference.empty() ? 0.0 : recipe_.beta};
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const RolloutSample& sample = *samples[i];
      const std::size_t length = sample.log_probs.size();
      const float* log_probs = forward.log_probs.data + forward.offsets[i];
      if (fresh) check_on_policy(sample, log_probs);
      const PolicyTokens tokens{
          {log_probs, length},
          sample.log_probs,
          reference.empty() ? std::span<const float>{} : std::span<const float>(reference[i]),
          sample.advantage,
          token_weight(recipe_.loss_type, sample.completion_length(), completions, all_tokens,
                       recipe_.max_completion_length)};
      policy_loss(backend_, config, tokens, {gradient + forward.offsets[i], length}, totals);
    }
    tape.backward();
  }

  void append_rollout_metrics(const Rollout& rollout, std::vector<Metric>& row) const {
    std::vector<double> rewards, accuracies, formats, lengths, finished;
    double entropy = 0.0, tokens = 0.0, clipped = 0.0, consistent = 0.0;
    for (const RolloutSample& sample : rollout.samples) {
      const double length = static_cast<double>(sample.completion_length());
      rewards.push_back(sample.reward);
      accuracies.push_back(sample.parts.accuracy);
      formats.push_back(sample.parts.format);
      lengths.push_back(length);
      if (!sample.truncated) finished.push_back(length);
      clipped += sample.truncated ? 1.0 : 0.0;
      entropy += sample.entropy;
      tokens += length;
      consistent += tasks::language_consistency(tasks::thinking_part(sample.completion),
                                                rollout.problems[sample.group].language);
    }
    const double count = static_cast<double>(rollout.samples.size());
    const std::size_t size = static_cast<std::size_t>(recipe_.num_generations);
    double flat_groups = 0.0, group_std = 0.0;
    for (std::size_t first = 0; first < rewards.size(); first += size) {
      const double std = spread_of(std::span(rewards).subspan(first, size)).std;
      group_std += std;
      flat_groups += std == 0.0 ? 1.0 : 0.0;
    }
    const double groups = static_cast<double>(rollout.problems.size());
    const Spread accuracy = spread_of(accuracies), format = spread_of(formats);
    row.emplace_back("reward", spread_of(rewards).mean);
    row.emplace_back("reward_std", group_std / groups);
    row.emplace_back("rewards/accuracy/mean", accuracy.mean);
    row.emplace_back("rewards/accuracy/std", accuracy.std);
    row.emplace_back("rewards/format/mean", format.mean);
    row.emplace_back("rewards/format/std", format.std);
    row.emplace_back("language_consistency", consistent / count);
    row.emplace_back("frac_reward_zero_std", flat_groups / groups);
    row.emplace_back("completions/mean_length", tokens / count);
    row.emplace_back("completions/min_length", std::ranges::min(lengths));
    row.emplace_back("completions/max_length", std::ranges::max(lengths));
    row.emplace_back("completions/clipped_ratio", clipped / count);
    row.emplace_back("completions/mean_terminated_length",
                     finished.empty() ? 0.0 : spread_of(finished).mean);
    row.emplace_back("entropy", entropy / tokens);
  }

  void log_samples(const Rollout& rollout, MetricsWriter& metrics, Progress& progress) {
    const std::int64_t rollout_number = (state_.step - 1) / recipe_.updates_per_rollout();
    const std::int64_t every =
        std::max<std::int64_t>(1, recipe_.log_completions_steps / recipe_.updates_per_rollout());
    if (!recipe_.log_completions || rollout_number % every != 0) return;
    std::vector<SampleCompletion> shown;
    const std::size_t stride = std::max<std::size_t>(
        1, rollout.samples.size() / static_cast<std::size_t>(recipe_.num_completions_to_print));
    for (std::size_t i = 0; i < rollout.samples.size(); i += stride) {
      const RolloutSample& sample = rollout.samples[i];
      shown.push_back({rollout.problems[sample.group].question,
                       sample.completion,
                       {{"accuracy", sample.parts.accuracy}, {"format", sample.parts.format}},
                       sample.advantage});
    }
    metrics.log_completions(state_.step, shown);
    progress.print(completions_table(state_.step, shown, 100));
  }

  const GrpoRecipe& recipe_;
  const RunOptions& options_;
  RunDirectory run_;
  Backend backend_;
  std::string resolved_;
  text::Tokenizer tokenizer_;
  Arena arena_;
  std::unique_ptr<Model> model_, reference_;
  std::optional<Optimizer> optimizer_;
  std::optional<Engine> engine_;
  std::optional<RolloutSource> source_;
  RunState state_;
  std::optional<Rollout> prepared_;  // sampled by announce(), not yet used
  std::int64_t prepared_next_ = 0;   // the problem behind it
  bool checked_whole_rollout_ = false;
};

}  // namespace

void run_grpo(const GrpoRecipe& recipe, const RunOptions& options) {
  Reinforcement(recipe, options).run();
}

}  // namespace r1::train
