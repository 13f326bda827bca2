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

// Texts of one length with one fact each, one after the other.
class Reading {
 public:
  Reading(Engine& engine, const reasoning::ReasoningModel& model, const NeedleOptions& options,
          std::int64_t length)
      : engine_(engine), model_(model), options_(options), length_(length) {}

  // Whether the fact of text number `index` is found.
  bool ask(std::int64_t index, double depth) {
    const tasks::Fact fact = make_prompt(index, depth);
    Request request;
    request.prompt = prompt_.ids;
    request.sampling = options_.sampling;
    request.sampling.step = static_cast<std::uint32_t>(length_);
    request.sampling.sample = static_cast<std::uint32_t>(index);
    request.max_tokens = options_.max_tokens;
    request.stop_tokens = model_.end_ids;
    const Completion completion = engine_.generate(std::span(&request, 1)).front();
    std::vector<std::int32_t> ids;
    for (const SampledToken& token : completion.tokens) ids.push_back(token.id);
    const std::string text = text::repair_utf8(model_.tokenizer.decode(ids, true));
    const text::Completion parts =
        text::split_completion(text, model_.form.completion(), prompt_.starts_in);
    return tasks::verify_needle(fact, parts.answer).correct;
  }

 private:
  // What the form puts around a text is known only once there is one, so the first try may be too
  // long.
  tasks::Fact make_prompt(std::int64_t index, double depth) {
    const auto count = [this](std::string_view text) {
      return std::ssize(model_.tokenizer.encode(text));
    };
    const std::int64_t room = length_ - options_.max_tokens;
    std::int64_t tokens = room;
    while (tokens > 0) {
      const tasks::Haystack haystack =
          tasks::make_haystack(tasks::Split::kHeldOut, options_.sampling.seed,
                               static_cast<std::uint64_t>(index), tokens, {depth}, count);
      const tasks::Fact& fact = haystack.facts.front();
      prompt_ = model_.form.prompt(model_.pose(haystack.text + tasks::needle_question(fact)));
      const std::int64_t beyond = std::ssize(prompt_.ids) - room;
      if (beyond <= 0) return fact;
      tokens -= beyond;
    }
    throw Error(
        "lengths",
        fmt::format("{} tokens have no room for a fact, a question and an answer", length_));
  }

  Engine& engine_;
  const reasoning::ReasoningModel& model_;
  const NeedleOptions& options_;
  std::int64_t length_;
  text::Prompt prompt_;
};

}  // namespace

NeedleEvaluation evaluate_needles(
    Backend& backend, const reasoning::ReasoningModel& model, const NeedleOptions& options,
    const std::function<void(std::int64_t done, std::int64_t total)>& progress) {
  R1_CHECK(options.samples > 0 && !options.depths.empty(), "{} samples at {} depths",
           options.samples, options.depths.size());
  NeedleEvaluation evaluation;
  evaluation.lengths = lengths_of(options, model.model->config());
  evaluation.depths = options.depths;
  // Room for one text: a longer one takes the pages of those before it.
  const std::int64_t longest = *std::ranges::max_element(evaluation.lengths);
  Engine engine(backend, *model.model,
                {.pages = (longest + kPageTokens - 1) / kPageTokens,
                 .max_sequences = 1,
                 .kv_storage = options.kv_storage});
  const std::int64_t texts = options.samples * std::ssize(options.depths);
  const std::int64_t total = std::ssize(evaluation.lengths) * texts;
  std::int64_t done = 0;
  for (const std::int64_t length : evaluation.lengths) {
    const auto start = std::chrono::steady_clock::now();
    Reading reading(engine, model, options, length);
    std::int64_t index = 0;
    for (const double depth : options.depths) {
      NeedleCell cell{length, depth};
      for (; cell.asked < options.samples; ++cell.asked) {
        if (reading.ask(index++, depth)) ++cell.found;
        if (progress) progress(++done, total);
      }
      evaluation.cells.push_back(cell);
    }
    evaluation.seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
        static_cast<double>(texts));
  }
  return evaluation;
}

}  // namespace r1::eval
