#include "train/data.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "text/bpe_trainer.h"
#include "text/chat_template.h"

namespace r1::train {

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

text::Tokenizer train_tokenizer(const DataRecipe& data, const tasks::Corpus& corpus) {
  text::BpeTrainOptions options;
  options.vocab_size = static_cast<std::int32_t>(data.vocab_size);
  std::int64_t next = 0;
  return text::train_bpe(
      [&](std::string& out) {
        if (next == data.tokenizer_documents) return false;
        const tasks::Document document = corpus.document(static_cast<std::uint64_t>(next++));
        out = document.prompt + document.completion;
        return true;
      },
      options);
}

Sequence encode_prompt(const text::Tokenizer& tokenizer, const std::string& prompt) {
  return tokenizer.encode(prompt, {.add_bos = true});
}

EncodedDocument encode_document(const text::Tokenizer& tokenizer, const tasks::Document& document,
                                std::int64_t max_length) {
  Sequence ids = encode_prompt(tokenizer, document.prompt);
  const std::int64_t prompt_tokens = std::min<std::int64_t>(std::ssize(ids), max_length);
  const Sequence completion = tokenizer.encode(document.completion);
  ids.insert(ids.end(), completion.begin(), completion.end());
  R1_CHECK(tokenizer.eos_id().has_value(), "a trained tokenizer without an end token");
  ids.push_back(*tokenizer.eos_id());
  if (std::ssize(ids) > max_length) ids.resize(static_cast<std::size_t>(max_length));
  return {std::move(ids), prompt_tokens};
}

}  // namespace r1::train
