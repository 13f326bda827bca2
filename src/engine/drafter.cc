#include "engine/drafter.h"

#include "base/error.h"
#include "engine/lookup_drafter.h"
#include "engine/network_drafter.h"

namespace r1 {
namespace {

std::int64_t default_tokens(DraftSource source) {
  switch (source) {
    case DraftSource::none:
      return 0;
    case DraftSource::prediction_module:
      return 1;  // what the module was trained for
    case DraftSource::draft_model:
      return 3;
    case DraftSource::prompt_lookup:
      return 4;
  }
  R1_CHECK(false, "draft source {}", static_cast<int>(source));
}

}  // namespace

SpeculationOptions resolved_speculation(const SpeculationOptions& options, const Model& model) {
  SpeculationOptions result = options;
  if (options.tokens < 0 || options.tokens > kMaxDraftTokens) {
    throw Error("draft tokens",
                fmt::format("{} is not between 0 and {}", options.tokens, kMaxDraftTokens));
  }
  if (options.tokens == 0) result.tokens = default_tokens(options.source);
  if (options.source == DraftSource::prediction_module && model.prediction_modules() == 0) {
    throw Error("speculation", "the model has no multi-token prediction module",
                "draft with another model or by prompt lookup");
  }
  if (options.source == DraftSource::draft_model) {
    R1_CHECK(options.draft_model != nullptr && options.draft_model != &model, "{} tokens",
             options.tokens);
    const std::int64_t own = model.config().vocab_size;
    const std::int64_t drafts = options.draft_model->config().vocab_size;
    if (own != drafts) {
      throw Error("draft model",
                  fmt::format("its vocabulary has {} tokens, the model's {}", drafts, own),
                  "draft with a model of the same family and tokenizer");
    }
  }
  return result;
}

std::int64_t draft_layers(const SpeculationOptions& options) {
  return options.source == DraftSource::prediction_module ? 1 : 0;
}

std::int64_t draft_bytes_per_page(const SpeculationOptions& options) {
  if (options.source != DraftSource::draft_model) return 0;
  const ModelConfig& config = options.draft_model->config();
  return KvCache::bytes_per_page(config.num_hidden_layers, config.kv_row_size(),
                                 options.draft_model->precision());
}

std::unique_ptr<Drafter> make_drafter(const SpeculationOptions& options, Model& model,
                                      KvCache& cache) {
  switch (options.source) {
    case DraftSource::none:
      return nullptr;
    case DraftSource::prediction_module:
      return make_prediction_drafter(model, cache);
    case DraftSource::draft_model:
      return make_model_drafter(*options.draft_model, cache.pages());
    case DraftSource::prompt_lookup:
      return std::make_unique<LookupDrafter>();
  }
  R1_CHECK(false, "draft source {}", static_cast<int>(options.source));
}

}  // namespace r1
