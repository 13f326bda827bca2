#include "reasoning/reasoning_model.h"

#include <algorithm>
#include <future>

#include "base/error.h"
#include "formats/gguf.h"
#include "model/gguf_tokenizer.h"
#include "text/chat_family.h"

namespace r1::reasoning {
namespace {

namespace fs = std::filesystem;

// For chats whose makers recommend nothing: what those of DeepSeek-R1 do.
constexpr float kTemperature = 0.6f, kTopP = 0.95f;

constexpr std::string_view kMarkAnswer =
    "\n\nPut the final answer alone between <answer> and </answer>.";

}  // namespace

std::vector<text::ChatMessage> ReasoningModel::pose(std::string_view question) const {
  std::string content(question);
  if (form.is_chat()) content += kMarkAnswer;
  return {{"user", std::move(content)}};
}

std::string ReasoningModel::graded_text(std::string_view completion,
                                        text::SectionKind starts_in) const {
  return (starts_in == text::SectionKind::kThinking ? "<think>" : "") + std::string(completion);
}

std::optional<text::ChatTemplateSource> read_chat_template(const fs::path& model) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  if (!is_gguf(model)) return text::read_chat_template(model);
  const GgufFile file = GgufFile::open(model);
  if (!file.metadata().has(kKey)) return {};
  auto source = file.metadata().require<std::string>(kKey);
  const std::string where = fmt::format("{}: {}", model.string(), kKey);
  if (source.size() > text::kMaxChatTemplateBytes) {
    throw Error(where, fmt::format("is {} bytes long, more than {}", source.size(),
                                   text::kMaxChatTemplateBytes));
  }
  return text::ChatTemplateSource{std::move(source), where};
}

ChosenForm find_form(const fs::path& model, const GenerationConfig& generation,
                     const text::Tokenizer& tokenizer) {
  if (generation.r1_zero_form) {
    return {text::PromptForm::r1_zero(*generation.r1_zero_form, tokenizer), FormOrigin::kNamed};
  }
  if (const auto source = read_chat_template(model)) {
    return {text::PromptForm::chat(source->text, source->where, "chat template", tokenizer),
            FormOrigin::kNamed};
  }
  if (const auto family = text::chat_family_of(tokenizer)) {
    return {text::PromptForm::chat(family->chat_template, family->name, family->name, tokenizer),
            FormOrigin::kGuessed};
  }
  return {text::PromptForm::plain(tokenizer), FormOrigin::kUnknown};
}

std::vector<std::int32_t> find_end_ids(const fs::path& model, const GenerationConfig& generation,
                                       const text::Tokenizer& tokenizer,
                                       const text::PromptForm& form) {
  std::vector<std::int32_t> ids = generation.end_ids;
  const auto add = [&](std::optional<std::int32_t> id) {
    if (id && std::ranges::find(ids, *id) == ids.end()) ids.push_back(*id);
  };
  if (ids.empty()) {
    if (!is_gguf(model)) ids = read_config_end_ids(model);
    add(tokenizer.eos_id());
  }
  add(form.turn_end());  // some files name only the end of texts, and the model ends turns
                         // otherwise
  return ids;
}

namespace {

PromptSide make_prompt_side(const fs::path& directory, Prompting prompting,
                            text::Tokenizer tokenizer, std::int64_t vocab_size) {
  const GenerationConfig generation = read_generation_config(directory);
  ChosenForm chosen = prompting == Prompting::kPlain
                          ? ChosenForm{text::PromptForm::plain(tokenizer), FormOrigin::kAsked}
                          : find_form(directory, generation, tokenizer);
  if (tokenizer.vocab_size() > vocab_size) {
    throw Error(directory.string(),
                fmt::format("the tokenizer has {} tokens, the model only {}",
                            tokenizer.vocab_size(), vocab_size),
                "its files belong to different models");
  }
  std::vector<std::int32_t> end_ids = find_end_ids(directory, generation, tokenizer, chosen.form);
  for (const std::int32_t id : end_ids) {
    if (id < 0 || id >= vocab_size) {
      throw Error(directory.string(),
                  fmt::format("the end token {} is not in the vocabulary of {}", id, vocab_size));
    }
  }
  SamplingParams sampling;
  if (chosen.form.is_chat() && !generation.recommends_sampling()) {
    sampling.temperature = kTemperature;
    sampling.top_p = kTopP;
  }
  generation.apply(sampling);
  return {std::move(tokenizer), std::move(chosen.form), chosen.origin, std::move(end_ids),
          sampling};
}

}  // namespace

PromptSide load_prompt_side(const fs::path& directory, Prompting prompting,
                            std::int64_t vocab_size) {
  return make_prompt_side(directory, prompting, load_model_tokenizer(directory), vocab_size);
}

ReasoningModel load_reasoning_model(Backend& backend, const fs::path& directory,
                                    Prompting prompting, const LoadOptions& options) {
  // A large vocabulary takes as long as the weights, so they are read at the same time.
  std::future<text::Tokenizer> reading =
      std::async(std::launch::async, [&] { return load_model_tokenizer(directory); });
  std::unique_ptr<Model> model = Model::load(backend, directory, options);
  PromptSide side =
      make_prompt_side(directory, prompting, reading.get(), model->config().vocab_size);
  return {directory,
          std::move(model),
          std::move(side.tokenizer),
          std::move(side.form),
          side.origin,
          std::move(side.end_ids),
          side.sampling};
}

}  // namespace r1::reasoning
