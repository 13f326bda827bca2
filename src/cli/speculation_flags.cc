#include "cli/speculation_flags.h"

#include <algorithm>

#include "base/error.h"
#include "cli/flags.h"

namespace r1::cli {
namespace {

void require_same_tokens(const reasoning::ReasoningModel& draft,
                         const reasoning::ReasoningModel& model) {
  const std::int32_t size = std::max(draft.tokenizer.vocab_size(), model.tokenizer.vocab_size());
  for (std::int32_t id = 0; id < size; ++id) {
    if (draft.tokenizer.token_bytes(id) == model.tokenizer.token_bytes(id)) continue;
    throw Error(draft.directory.string(),
                fmt::format("its token {} is not that of {}", id, model.directory.string()),
                "draft with a model of the same family and tokenizer");
  }
}

}  // namespace

void add_speculation(CLI::App& command, SpeculationFlags& flags) {
  constexpr const char* kGroup = "Speculation (the answer stays the same, bit for bit)";
  add_choice<DraftSource>(command, "--speculate", flags.source,
                          {{"mtp", DraftSource::prediction_module},
                           {"draft", DraftSource::draft_model},
                           {"lookup", DraftSource::prompt_lookup},
                           {"off", DraftSource::none}},
                          "Guess tokens ahead: mtp (the model's own prediction module), draft "
                          "(another model), lookup (repetitions), or off.")
      ->type_name("HOW")
      ->group(kGroup);
  command
      .add_option("--draft", flags.draft_model,
                  "A smaller model with the same tokens; implies --speculate draft.")
      ->type_name("MODEL")
      ->group(kGroup);
  command
      .add_option("--draft-tokens", flags.tokens,
                  "Most tokens to guess at a time (default: as suits HOW).")
      ->type_name("N")
      ->check(number_within(std::int64_t{1}, kMaxDraftTokens))
      ->group(kGroup);
}

Speculation load_speculation(Backend& backend, const SpeculationFlags& flags,
                             const reasoning::ReasoningModel& model) {
  Speculation speculation;
  const bool names_model = !flags.draft_model.empty();
  speculation.options.source =
      flags.source.value_or(names_model ? DraftSource::draft_model : DraftSource::none);
  speculation.options.tokens = flags.tokens;
  const bool needs_model = speculation.options.source == DraftSource::draft_model;
  if (flags.tokens > 0 && speculation.options.source == DraftSource::none) {
    throw UsageError("--draft-tokens", "needs --speculate HOW");
  }
  if (needs_model && !names_model) throw UsageError("--speculate draft", "needs --draft MODEL");
  if (!needs_model && names_model) throw UsageError("--draft", "needs --speculate draft");
  if (needs_model) {
    reasoning::ReasoningModel draft = reasoning::load_reasoning_model(backend, flags.draft_model);
    require_same_tokens(draft, model);
    speculation.draft_model = std::move(draft.model);
    speculation.options.draft_model = speculation.draft_model.get();
  }
  return speculation;
}

}  // namespace r1::cli
