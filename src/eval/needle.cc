#include "eval/needle.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "tasks/needle.h"
#include "text/stream_decoder.h"

namespace r1::eval {
namespace {

constexpr std::int64_t kDefaultShortest = 4096;

std::vector<std::int64_t> lengths_of(const NeedleOptions& options, const ModelConfig& config) {
  const std::int64_t context = config.max_position_embeddings;
  if (options.lengths.empty()) {
    std::vector<std::int64_t> lengths;
    for (std::int64_t length = kDefaultShortest; length <= context; length *= 2) {
      lengths.push_back(length);
    }
    if (!lengths.empty()) return lengths;
    throw Error("lengths",
                fmt::format("the model's context of {} is below {}", context, kDefaultShortest),
                "name shorter ones");
  }
  for (const std::int64_t length : options.lengths) {
    if (length >= kLeastNeedleLength && length <= context) continue;
    throw Error("lengths", fmt::format("{} is not from {} to the model's context of {}", length,
                                       kLeastNeedleLength, context));
  }
  return options.lengths;
}

// One length: its texts, one after the other.
class Reading {
 public:
  Reading(Engine& engine, const ReasoningModel& model, const NeedleOptions& options,
          std::int64_t length)
      : engine_(engine), model_(model), options_(options), length_(length) {}

  // Which facts of text number `index` are found.
  std::vector<bool> ask(std::int64_t index) {
    const tasks::Haystack haystack = make(index);
    std::vector<Request> requests;
    std::vector<text::SectionKind> starts;
    for (std::size_t i = 0; i < haystack.facts.size(); ++i) {
      text::Prompt prompt = prompt_of(haystack, i);
      starts.push_back(prompt.starts_in);
      Request request;
      request.prompt = std::move(prompt.ids);
      request.sampling = options_.sampling;
      request.sampling.step = static_cast<std::uint32_t>(length_);
      request.sampling.sample = static_cast<std::uint32_t>(
          index * static_cast<std::int64_t>(haystack.facts.size()) + static_cast<std::int64_t>(i));
      request.max_tokens = options_.max_tokens;
      request.stop_tokens = model_.end_ids;
      requests.push_back(std::move(request));
    }
    const std::vector<Completion> completions = engine_.generate(requests);
    std::vector<bool> found;
    for (std::size_t i = 0; i < completions.size(); ++i) {
      std::vector<std::int32_t> ids;
      for (const SampledToken& token : completions[i].tokens) ids.push_back(token.id);
      const std::string text = text::repair_utf8(model_.tokenizer.decode(ids, true));
      const text::Completion parts =
          text::split_completion(text, model_.form.completion(), starts[i]);
      found.push_back(tasks::verify_needle(haystack.facts[i], parts.answer).correct);
    }
    return found;
  }

 private:
  text::Prompt prompt_of(const tasks::Haystack& haystack, std::size_t fact) const {
    return model_.form.prompt(
        model_.pose(haystack.text + tasks::needle_question(haystack.facts[fact])));
  }

  // What the form puts around a text is known only once there is one, so the first try may be too
  // long.
  tasks::Haystack make(std::int64_t index) const {
    const auto count = [this](std::string_view text) {
      return std::ssize(model_.tokenizer.encode(text));
    };
    const std::int64_t room = length_ - options_.max_tokens;
    std::int64_t tokens = room;
    while (true) {
      tasks::Haystack haystack =
          tasks::make_haystack(tasks::Split::kHeldOut, options_.sampling.seed,
                               static_cast<std::uint64_t>(index), tokens, options_.depths, count);
      std::int64_t longest = 0;
      for (std::size_t i = 0; i < haystack.facts.size(); ++i) {
        longest = std::max<std::int64_t>(longest, std::ssize(prompt_of(haystack, i).ids));
      }
      if (longest <= room) return haystack;
      tokens -= longest - room;
      if (tokens <= 0) {
        throw Error("lengths",
                    fmt::format("{} tokens have no room for {} facts, a question and an answer",
                                length_, options_.depths.size()));
      }
    }
  }

  Engine& engine_;
  const ReasoningModel& model_;
  const NeedleOptions& options_;
  std::int64_t length_;
};

// A text once, and the ends of its prompts for each question.
EngineOptions engine_options(const NeedleOptions& options, std::int64_t longest) {
  const auto questions = std::ssize(options.depths);
  const std::int64_t pages = (longest + kPageTokens - 1) / kPageTokens;
  const std::int64_t pages_of_end = options.max_tokens / kPageTokens + 4;
  return {.pages = pages + questions * pages_of_end,
          .max_sequences = questions,
          .kv_storage = options.kv_storage};
}

}  // namespace

NeedleEvaluation evaluate_needles(
    Backend& backend, const ReasoningModel& model, const NeedleOptions& options,
    const std::function<void(std::int64_t done, std::int64_t total)>& progress) {
  R1_CHECK(options.samples > 0 && !options.depths.empty(), "{} samples at {} depths",
           options.samples, options.depths.size());
  if (options.depths.size() > kMostNeedleDepths) {
    throw Error("depths",
                fmt::format("{} are more than {}", options.depths.size(), kMostNeedleDepths));
  }
  NeedleEvaluation evaluation;
  evaluation.lengths = lengths_of(options, model.model->config());
  evaluation.depths = options.depths;
  Engine engine(backend, *model.model,
                engine_options(options, *std::ranges::max_element(evaluation.lengths)));
  const std::int64_t total = std::ssize(evaluation.lengths) * options.samples;
  std::int64_t done = 0;
  for (const std::int64_t length : evaluation.lengths) {
    const auto start = std::chrono::steady_clock::now();
    const std::size_t first = evaluation.cells.size();
    for (const double depth : options.depths) evaluation.cells.push_back({length, depth});
    Reading reading(engine, model, options, length);
    for (std::int64_t index = 0; index < options.samples; ++index) {
      const std::vector<bool> found = reading.ask(index);
      for (std::size_t i = 0; i < found.size(); ++i) {
        NeedleCell& cell = evaluation.cells[first + i];
        ++cell.asked;
        if (found[i]) ++cell.found;
      }
      if (progress) progress(++done, total);
    }
    evaluation.seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return evaluation;
}

}  // namespace r1::eval
