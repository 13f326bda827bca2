#include "eval/evaluation.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "engine/engine.h"
#include "tasks/grade.h"
#include "tasks/voting.h"
#include "text/stream_decoder.h"

namespace r1::eval {
namespace {

// Draws tried per wanted problem before a family counts as exhausted.
constexpr std::uint64_t kDrawsPerProblem = 64;

// What is kept of a completion.
struct Sample {
  bool correct = false, well_formed = false, truncated = false;
  std::int64_t thinking_tokens = 0, completion_tokens = 0;
  std::string answer;  // canonical
};

struct Family {
  const tasks::Task* task;
  std::uint32_t number;  // among all tasks
  std::vector<tasks::Problem> problems;
  std::vector<Sample> samples;  // [problems, samples per problem]
};

std::vector<Family> choose_families(const EvaluationOptions& options) {
  for (const std::string& name : options.tasks) tasks::find_task(name);
  std::vector<Family> families;
  std::uint32_t number = 0;
  for (const auto& task : tasks::all_tasks()) {
    const bool wanted = options.tasks.empty() ||
                        std::ranges::find(options.tasks, task->name()) != options.tasks.end();
    if (wanted) {
      Family family{task.get(), number, {}, {}};
      family.problems =
          held_out_problems(*task, options.problems, options.sampling.seed, options.problem);
      family.samples.resize(family.problems.size() * static_cast<std::size_t>(options.samples));
      families.push_back(std::move(family));
    }
    ++number;
  }
  return families;
}

// Feeds the engine a few requests ahead, so that its batch is always full while what waits and what
// is kept stay small.
class Sampling {
 public:
  Sampling(Engine& engine, const reasoning::ReasoningModel& model, const EvaluationOptions& options,
           std::vector<Family>& families)
      : engine_(engine), model_(model), options_(options), families_(families) {
    for (const Family& family : families_) total_ += std::ssize(family.samples);
  }

  std::int64_t run(std::int64_t ahead, const EvaluationProgress& progress) {
    while (done_ < total_) {
      while (std::ssize(running_) < ahead && submit_next()) {
      }
      const std::int64_t before = done_;
      for (const Engine::Event& event : engine_.step()) take(event);
      if (progress && done_ > before) progress(done_, total_);
    }
    return tokens_;
  }

 private:
  struct Running {
    const Family* family;
    std::size_t problem;
    Sample* sample;
    text::SectionKind starts_in;
    std::vector<std::int32_t> ids;
  };

  bool submit_next() {
    if (next_family_ == families_.size()) return false;
    Family& family = families_[next_family_];
    const std::size_t per_problem = static_cast<std::size_t>(options_.samples);
    const std::size_t problem = next_sample_ / per_problem;

    Request request;
    text::Prompt prompt = model_.form.prompt(model_.pose(family.problems[problem].question));
    request.prompt = std::move(prompt.ids);
    request.sampling = options_.sampling;
    request.sampling.step = family.number;
    request.sampling.sample = static_cast<std::uint32_t>(next_sample_);
    request.max_tokens = options_.max_tokens > 0 ? options_.max_tokens
                                                 : model_.model->config().max_position_embeddings;
    request.stop_tokens = model_.end_ids;
    const RequestId id = engine_.submit(std::move(request));
    running_.emplace(
        id, Running{&family, problem, &family.samples[next_sample_], prompt.starts_in, {}});

    if (++next_sample_ == family.samples.size()) {
      ++next_family_;
      next_sample_ = 0;
    }
    return true;
  }

  void take(const Engine::Event& event) {
    const auto found = running_.find(event.id);
    R1_CHECK(found != running_.end(), "event of request {}, which is not ours", event.id);
    if (event.finished && event.finish == FinishReason::failed) {
      throw Error(model_.directory.string(), event.error);
    }
    Running& running = found->second;
    running.ids.push_back(event.token.id);
    if (!event.finished) return;
    grade(running, event.finish);
    tokens_ += std::ssize(running.ids);
    running_.erase(found);
    ++done_;
  }

  void grade(const Running& running, FinishReason finish) const {
    const std::string text = model_.graded_text(
        text::repair_utf8(model_.tokenizer.decode(running.ids, true)), running.starts_in);
    const tasks::RewardParts parts = tasks::grade(running.family->problems[running.problem], text);
    Sample& sample = *running.sample;
    sample.correct = parts.correct;
    sample.well_formed = parts.well_formed;
    sample.truncated = finish == FinishReason::length;
    sample.completion_tokens = std::ssize(running.ids);
    sample.thinking_tokens = std::ssize(model_.tokenizer.encode(tasks::thinking_part(text)));
    sample.answer = tasks::canonical_answer(tasks::last_answer(text).value_or(""));
  }

  Engine& engine_;
  const reasoning::ReasoningModel& model_;
  const EvaluationOptions& options_;
  std::vector<Family>& families_;
  std::unordered_map<RequestId, Running> running_;
  std::size_t next_family_ = 0, next_sample_ = 0;
  std::int64_t total_ = 0, done_ = 0, tokens_ = 0;
};

// Per problem, in order.
struct Values {
  std::vector<double> pass, consensus;
};

Values values_of(const Family& family, std::size_t per_problem) {
  Values values;
  for (std::size_t first = 0; first < family.samples.size(); first += per_problem) {
    const std::span<const Sample> samples = std::span(family.samples).subspan(first, per_problem);
    std::vector<std::string> answers;
    for (const Sample& sample : samples) answers.push_back(sample.answer);
    const std::optional<std::size_t> chosen = tasks::majority(answers);
    values.pass.push_back(static_cast<double>(std::ranges::count_if(samples, &Sample::correct)) /
                          static_cast<double>(per_problem));
    values.consensus.push_back(chosen && samples[*chosen].correct ? 1.0 : 0.0);
  }
  return values;
}

// The numbers that need no interval.
Score means_of(const Family& family) {
  Score score;
  score.problems = std::ssize(family.problems);
  const double count = static_cast<double>(family.samples.size());
  for (const Sample& sample : family.samples) {
    score.thinking_tokens += static_cast<double>(sample.thinking_tokens) / count;
    score.completion_tokens += static_cast<double>(sample.completion_tokens) / count;
    score.well_formed += (sample.well_formed ? 1.0 : 0.0) / count;
    score.truncated += (sample.truncated ? 1.0 : 0.0) / count;
  }
  return score;
}

}  // namespace

std::vector<tasks::Problem> held_out_problems(const tasks::Task& task, std::int64_t count,
                                              std::uint64_t seed,
                                              const tasks::ProblemOptions& options) {
  std::vector<tasks::Problem> problems;
  std::unordered_set<std::uint64_t> seen;
  const std::uint64_t draws = static_cast<std::uint64_t>(count) * kDrawsPerProblem;
  for (std::uint64_t i = 0; i < draws && std::ssize(problems) < count; ++i) {
    tasks::Problem problem = task.generate(tasks::Split::kHeldOut, seed, i, options);
    if (seen.insert(problem.id).second) problems.push_back(std::move(problem));
  }
  return problems;
}

Evaluation evaluate(Backend& backend, const reasoning::ReasoningModel& model,
                    const EvaluationOptions& options, const EvaluationProgress& progress) {
  R1_CHECK(options.problems > 0 && options.problems <= kMaxProblems, "{} problems",
           options.problems);
  R1_CHECK(options.samples > 0 && options.samples <= kMaxSamples, "{} samples", options.samples);
  const auto start = std::chrono::steady_clock::now();
  std::vector<Family> families = choose_families(options);

  Engine engine(backend, *model.model, options.engine);
  Evaluation evaluation;
  evaluation.tokens =
      Sampling(engine, model, options, families).run(2 * options.engine.max_sequences, progress);

  std::vector<std::vector<double>> pass, consensus;
  Score& overall = evaluation.overall;
  const double share = 1.0 / static_cast<double>(families.size());
  for (const Family& family : families) {
    Values values = values_of(family, static_cast<std::size_t>(options.samples));
    Score score = means_of(family);
    score.pass_at_1 = bootstrap_mean(std::span(&values.pass, 1), options.bootstrap);
    score.cons_at_k = bootstrap_mean(std::span(&values.consensus, 1), options.bootstrap);
    overall.problems += score.problems;
    overall.thinking_tokens += score.thinking_tokens * share;
    overall.completion_tokens += score.completion_tokens * share;
    overall.well_formed += score.well_formed * share;
    overall.truncated += score.truncated * share;
    evaluation.families.push_back({std::string(family.task->name()), score});
    pass.push_back(std::move(values.pass));
    consensus.push_back(std::move(values.consensus));
  }
  overall.pass_at_1 = bootstrap_mean(pass, options.bootstrap);
  overall.cons_at_k = bootstrap_mean(consensus, options.bootstrap);
  evaluation.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return evaluation;
}

}  // namespace r1::eval
