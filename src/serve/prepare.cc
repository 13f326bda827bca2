#include "serve/prepare.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "base/error.h"
#include "engine/sampler.h"
#include "serve/api_error.h"
#include "serve/service/thinking_guide.h"

namespace r1::serve {
namespace {

using text::CompletionForm;
using text::SectionKind;

// What stands between a thought and the answer, and around an empty thought.
constexpr std::string_view kThinkEnd = "</think>";
constexpr std::string_view kChatAnswer = "\n\n", kTaggedAnswer = " <answer>";

bool is_tagged(const CatalogEntry& model) {
  return model.side.form.completion() == CompletionForm::kTagged;
}

std::string close_thought(const CatalogEntry& model) {
  return std::string(kThinkEnd) + std::string(is_tagged(model) ? kTaggedAnswer : kChatAnswer);
}

std::string open_thought(const CatalogEntry& model) {
  return is_tagged(model) ? " <think>" : "<think>\n";
}

std::vector<text::ChatMessage> messages_for(const CatalogEntry& model,
                                            const std::vector<Turn>& turns) {
  std::vector<text::ChatMessage> messages;
  if (model.side.form.is_chat()) {
    for (const Turn& turn : turns) messages.push_back({turn.role, turn.content});
    return messages;
  }
  // Such a model was trained on single questions: it has no place for instructions, and earlier
  // turns would only confuse it (as in `r1 run`, each question stands alone).
  for (const Turn& turn : turns) {
    if (turn.role == "system") {
      refuse("messages", fmt::format("the model {} reads single questions in the form \"{}\" and "
                                     "has no place for a system message",
                                     model.name, model.side.form.name()));
    }
  }
  if (turns.back().role != "user") {
    refuse("messages",
           fmt::format("the last message must be the user's, not the {}'s", turns.back().role));
  }
  messages.push_back({"user", turns.back().content});
  return messages;
}

struct Rendered {
  std::vector<std::int32_t> ids;
  text::ReasoningStreamOptions stream;
};

// What the server itself writes behind the prompt: an empty thought, or the beginning of an answer
// that is to be gone on with.
std::string prompt_tail(const CatalogEntry& model, const Turn* begun, bool think,
                        Rendered& rendered) {
  SectionKind& in = rendered.stream.starts_in;
  if (!model.thinks()) {
    if (begun != nullptr) rendered.stream.continues = true;
    return begun == nullptr ? std::string() : begun->content;
  }
  const bool opened = in == SectionKind::kThinking;
  std::string tail;
  if (begun != nullptr && !begun->reasoning.empty() && begun->content.empty()) {
    tail = (opened ? "" : open_thought(model)) + begun->reasoning;
    in = SectionKind::kThinking;
    rendered.stream.continues = true;
    return tail;
  }
  if (begun == nullptr && think) return tail;
  // The thought is over before the model begins.
  if (!opened) tail = open_thought(model);
  if (begun != nullptr && !begun->reasoning.empty()) {
    tail += begun->reasoning;
    if (!is_tagged(model)) tail += '\n';
  } else if (!is_tagged(model)) {
    tail += '\n';
  }
  tail += close_thought(model);
  in = SectionKind::kAnswer;
  if (begun != nullptr) {
    tail += begun->content;
    rendered.stream.continues = true;
  }
  return tail;
}

Rendered render(const Conversation& conversation, const CatalogEntry& model, bool think) {
  Rendered rendered;
  std::vector<Turn> turns = conversation.turns;
  std::optional<Turn> begun;
  if (conversation.continues) {
    begun = std::move(turns.back());
    turns.pop_back();
    if (turns.empty()) refuse("messages", "there is no message before the one to be gone on with");
  }
  text::Prompt prompt;
  try {
    prompt = model.side.form.prompt(messages_for(model, turns));
  } catch (const Error& error) {
    refuse("messages", error.what());
  }
  rendered.ids = std::move(prompt.ids);
  rendered.stream.form = model.side.form.completion();
  rendered.stream.starts_in = prompt.starts_in;
  const std::string tail = prompt_tail(model, begun ? &*begun : nullptr, think, rendered);
  const std::vector<std::int32_t> ids = model.side.tokenizer.encode(tail);
  rendered.ids.insert(rendered.ids.end(), ids.begin(), ids.end());
  return rendered;
}

Rendered render(const BarePrompt& bare, const CatalogEntry& model) {
  Rendered rendered;
  rendered.stream.form = CompletionForm::kPlain;
  if (const auto* text = std::get_if<std::string>(&bare.prompt)) {
    rendered.ids = model.side.tokenizer.encode(*text, {.add_bos = true});
  } else {
    rendered.ids = std::get<std::vector<std::int32_t>>(bare.prompt);
    for (const std::int32_t id : rendered.ids) {
      if (id < 0 || id >= model.config.vocab_size) {
        refuse("prompt", fmt::format("token {} is not below the vocabulary's {}", id,
                                     model.config.vocab_size));
      }
    }
  }
  if (rendered.ids.empty()) refuse("prompt", "it is empty");
  return rendered;
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

SamplingParams sampling_of(const GenerationRequest& request, const CatalogEntry& model) {
  constexpr float kGreedyBelow = 1e-4f;  // what a single can tell apart
  SamplingParams sampling = model.side.sampling;
  sampling.temperature = request.temperature.value_or(sampling.temperature);
  if (sampling.temperature < kGreedyBelow) sampling.temperature = 0.0f;
  sampling.top_k = request.top_k.value_or(sampling.top_k);
  sampling.top_p = request.top_p.value_or(sampling.top_p);
  if (sampling.top_p == 0.0f) {  // only the likeliest is left
    sampling.top_p = 1.0f;
    sampling.top_k = 1;
  }
  sampling.min_p = request.min_p.value_or(sampling.min_p);
  sampling.repetition_penalty = request.repetition_penalty.value_or(sampling.repetition_penalty);
  sampling.presence_penalty = request.presence_penalty;
  sampling.frequency_penalty = request.frequency_penalty;
  sampling.logit_bias = request.logit_bias;
  for (const auto& [id, bias] : sampling.logit_bias) {
    if (id < 0 || id >= model.config.vocab_size) {
      refuse("logit_bias",
             fmt::format("token {} is not below the vocabulary's {}", id, model.config.vocab_size));
    }
  }
  sampling.seed = request.seed ? *request.seed : random_seed();
  try {
    check_sampling(sampling);
  } catch (const Error& error) {
    refuse({}, error.what());
  }
  return sampling;
}

// A token that makes a thought go on.
std::int32_t go_on_token(const text::Tokenizer& tokenizer) {
  for (const std::string_view word : {"Wait", " Wait", "\nWait", "But", " But", "等等"}) {
    if (const auto id = tokenizer.id_of(word)) return *id;
  }
  refuse("min_thinking_tokens", "the model's vocabulary has no single token to go on with");
}

std::optional<ThinkingRules> thinking_rules(const ThinkingWish& wish, const Rendered& rendered,
                                            const CatalogEntry& model, std::int64_t room,
                                            const ServerConfig& config) {
  const bool bounded = wish.budget || wish.share || wish.at_least > 0;
  const bool stop_cycles = wish.stop_cycles.value_or(config.stop_cycles);
  if (!bounded && !stop_cycles) return {};
  ThinkingRules rules;
  rules.open = model.think_id;
  rules.close = model.think_end_id;
  rules.starts_open = rendered.stream.starts_in == SectionKind::kThinking;
  if (wish.share) {
    rules.budget = static_cast<std::int64_t>(std::floor(*wish.share * static_cast<double>(room)));
  }
  if (wish.budget) rules.budget = std::min(rules.budget, *wish.budget);
  rules.at_least = wish.at_least;
  rules.stop_cycles = stop_cycles;
  if (rules.at_least > 0) rules.go_on = go_on_token(model.side.tokenizer);
  // The tagged form comes from models that were never told anything within their thoughts.
  rules.wind_down = model.side.tokenizer.encode(
      (is_tagged(model) ? std::string() : config.wind_down) + close_thought(model));
  return rules;
}

void check_thinking(const ThinkingWish& wish, const CatalogEntry& model) {
  if (model.thinks()) return;
  if (wish.enabled.value_or(false) || wish.budget || wish.share || wish.at_least > 0) {
    refuse("thinking", fmt::format("\"{}\" does not support thinking", model.name));
  }
}

}  // namespace

std::int64_t PreparedRequest::max_output_tokens() const {
  std::int64_t total = 0;
  for (const Request& sample : samples) total += sample.max_tokens;
  return total;
}

PreparedRequest prepare(const GenerationRequest& request, const CatalogEntry& model,
                        const ServerConfig& config) {
  check_thinking(request.thinking, model);
  const bool think = request.thinking.enabled.value_or(model.thinks_as(request.model));
  const auto* conversation = std::get_if<Conversation>(&request.input);
  Rendered rendered = conversation != nullptr ? render(*conversation, model, think)
                                              : render(std::get<BarePrompt>(request.input), model);
  const std::int64_t context = model.context();
  const std::int64_t size = std::ssize(rendered.ids);
  const bool completes = !request.max_tokens || *request.max_tokens > 0;
  if (size > context || (completes && size == context)) {
    throw ApiError(ApiError::Kind::invalid,
                   fmt::format("This model's maximum context length is {} tokens. However, your "
                               "prompt has {} tokens. Please shorten it.",
                               context, size),
                   conversation != nullptr ? "messages" : "prompt", "context_length_exceeded");
  }

  PreparedRequest prepared;
  prepared.model = &model;
  prepared.choices = request.choices;
  prepared.alternatives = request.alternatives;
  prepared.score_prompt = request.echo && request.log_probs;
  prepared.stream = std::move(rendered.stream);
  prepared.stream.stops = request.stops;
  prepared.stream.show_tags = request.show_tags;
  try {
    text::StopMatcher{request.stops};
  } catch (const Error& error) {
    refuse("stop", error.what());
  }
  if (completes) {
    const std::int64_t room = std::min(request.max_tokens.value_or(context), context - size);
    std::optional<ThinkingRules> rules;
    if (conversation != nullptr && model.thinks() && think) {
      rules = thinking_rules(request.thinking, rendered, model, room, config);
    }
    Request sample;
    sample.sampling = sampling_of(request, model);
    sample.max_tokens = room;
    sample.stop_tokens = model.side.end_ids;
    sample.alternatives = request.alternatives;
    const std::int64_t count = request.best_of.value_or(request.choices);
    for (std::int64_t i = 0; i < count; ++i) {
      sample.sampling.sample = static_cast<std::uint32_t>(i);
      if (rules) sample.guide = std::make_shared<ThinkingGuide>(*rules);
      prepared.samples.push_back(sample);
    }
  }
  prepared.prompt = std::move(rendered.ids);
  return prepared;
}

}  // namespace r1::serve
