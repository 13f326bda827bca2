#include "train/data.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "text/bpe_trainer.h"
#include "text/chat_template.h"

namespace r1::train {
namespace {

// <|begin|> and <|end|>.
constexpr std::int64_t kTokensAround = 2;

std::variant<tasks::Corpus, tasks::NeedleCorpus> make_text(const DataRecipe& data,
                                                           std::int64_t max_length) {
  if (data.corpus == CorpusKind::kNeedle) {
    return tasks::NeedleCorpus(data.seed, data.needle, max_length - kTokensAround);
  }
  return make_corpus(data);
}

}  // namespace

std::vector<tasks::TaskShare> task_shares(const std::vector<WeightedName>& names) {
  if (names.empty()) return tasks::equal_shares();
  std::vector<tasks::TaskShare> shares;
  for (const WeightedName& name : names) {
    shares.push_back({&tasks::find_task(name.name), name.weight});
  }
  return shares;
}

tasks::Corpus make_corpus(const DataRecipe& data) {
  const text::TemplateKind kind = text::template_kind(data.prompt_template);
  const tasks::CorpusMixture& mixture = data.mixture;
  const double styles =
      mixture.guess + mixture.short_steps + mixture.careful + mixture.careful_check + mixture.mixed;
  if (std::abs(styles - 1.0) > 1e-6) {
    throw Error("data.mixture",
                fmt::format("the shares of guess, short_steps, careful, careful_check and mixed "
                            "add up to {}, expected 1",
                            styles));
  }
  return tasks::Corpus(
      data.seed, mixture,
      [kind](std::string_view question) { return text::render_r1_zero(kind, question); },
      task_shares(data.tasks));
}

Sequence encode_prompt(const text::Tokenizer& tokenizer, const std::string& prompt) {
  return tokenizer.encode(prompt, {.add_bos = true});
}

EncodedDocument encode_document(const text::Tokenizer& tokenizer,
                                std::span<const tasks::Passage> passages, std::int64_t max_length) {
  R1_CHECK(!passages.empty(), "{} passages", passages.size());
  R1_CHECK(tokenizer.eos_id().has_value(), "a trained tokenizer without an end token");
  EncodedDocument document;
  document.ids = encode_prompt(tokenizer, "");
  document.learned.assign(document.ids.size(), false);
  for (const tasks::Passage& passage : passages) {
    const Sequence ids = tokenizer.encode(passage.text);
    document.ids.insert(document.ids.end(), ids.begin(), ids.end());
    document.learned.resize(document.ids.size(), passage.learned);
  }
  document.ids.push_back(*tokenizer.eos_id());
  document.learned.push_back(passages.back().learned);
  if (std::ssize(document.ids) > max_length) {
    document.ids.resize(static_cast<std::size_t>(max_length));
    document.learned.resize(document.ids.size());
  }
  return document;
}

TrainingText::TrainingText(const DataRecipe& data, std::int64_t max_length)
    : data_(data), max_length_(max_length), corpus_(make_text(data, max_length)) {}

std::vector<tasks::Passage> TrainingText::passages(std::uint64_t index,
                                                   const tasks::CountTokens& count) const {
  index %= static_cast<std::uint64_t>(data_.documents);
  if (const auto* needles = std::get_if<tasks::NeedleCorpus>(&corpus_)) {
    return needles->document(index, count);
  }
  const tasks::Document document = std::get<tasks::Corpus>(corpus_).document(index);
  return {{document.prompt, !data_.completion_only_loss}, {document.completion, true}};
}

text::Tokenizer TrainingText::train_tokenizer() const {
  text::BpeTrainOptions options;
  options.vocab_size = static_cast<std::int32_t>(data_.vocab_size);
  // There are no tokens yet; lengths matter little here.
  const auto count_words = [](std::string_view text) {
    return static_cast<std::int64_t>(std::ranges::count(text, ' '));
  };
  std::int64_t next = 0;
  return text::train_bpe(
      [&](std::string& out) {
        if (next == data_.tokenizer_documents) return false;
        out.clear();
        for (const tasks::Passage& passage :
             passages(static_cast<std::uint64_t>(next++), count_words)) {
          out += passage.text;
        }
        return true;
      },
      options);
}

EncodedDocument TrainingText::document(const text::Tokenizer& tokenizer,
                                       std::uint64_t index) const {
  EncodedDocument document = encode_document(
      tokenizer,
      passages(index, [&](std::string_view text) { return std::ssize(tokenizer.encode(text)); }),
      max_length_);
  // A document that is cut within its prompt still needs something to learn.
  if (std::ranges::find(document.learned, true) == document.learned.end()) {
    document.learned.assign(document.ids.size(), true);
  }
  return document;
}

std::string TrainingText::prompt_template() const {
  return data_.corpus == CorpusKind::kNeedle ? std::string() : data_.prompt_template;
}

}  // namespace r1::train
