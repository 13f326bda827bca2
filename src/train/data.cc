#include "train/data.h"

#include "text/bpe_trainer.h"
#include "text/chat_template.h"

namespace r1::train {

tasks::Corpus make_corpus(const DataRecipe& data) {
  const text::TemplateKind kind = text::template_kind(data.prompt_template);
  return tasks::Corpus(data.seed, tasks::CorpusMixture{}, [kind](std::string_view question) {
    return text::render_r1_zero(kind, question);
  });
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

Sequence encode_document(const text::Tokenizer& tokenizer, const tasks::Document& document,
                         std::int64_t max_length) {
  Sequence ids = encode_prompt(tokenizer, document.prompt);
  const Sequence completion = tokenizer.encode(document.completion);
  ids.insert(ids.end(), completion.begin(), completion.end());
  R1_CHECK(tokenizer.eos_id().has_value(), "a trained tokenizer without an end token");
  ids.push_back(*tokenizer.eos_id());
  if (std::ssize(ids) > max_length) ids.resize(static_cast<std::size_t>(max_length));
  return ids;
}

}  // namespace r1::train
