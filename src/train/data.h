#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>

#include "tasks/corpus.h"
#include "tasks/needle.h"
#include "text/tokenizer.h"
#include "train/packing.h"
#include "train/recipe.h"

namespace r1::train {

// The families a recipe names, with their weights; none named: all alike. Throws Error for an
// unknown one.
std::vector<tasks::TaskShare> task_shares(const std::vector<WeightedName>& names);

// The base model's corpus with its prompts in the recipe's template.
tasks::Corpus make_corpus(const DataRecipe& data);

// <|begin|> prompt, as the sampler sees it. The completion's tokens follow; prompt and completion
// are encoded apart, so that a corpus document is cut where sampling begins.
Sequence encode_prompt(const text::Tokenizer& tokenizer, const std::string& prompt);

// A document's tokens, and which of them are to be predicted.
struct EncodedDocument {
  Sequence ids;
  std::vector<bool> learned;
};

// <|begin|> passages <|end|>, at most max_length tokens (the rest is cut). The passages are encoded
// apart. The end is learned where the last passage is.
EncodedDocument encode_document(const text::Tokenizer& tokenizer,
                                std::span<const tasks::Passage> passages, std::int64_t max_length);

// What a base model reads: worked problems or needles in haystacks, as the recipe says. Document
// number i is the same at any time.
class TrainingText {
 public:
  // max_length: of a document, in tokens. Throws Error for a recipe that contradicts itself.
  TrainingText(const DataRecipe& data, std::int64_t max_length);

  // A byte-level BPE learned from the first documents.
  text::Tokenizer train_tokenizer() const;
  EncodedDocument document(const text::Tokenizer& tokenizer, std::uint64_t index) const;
  // Name of the template that prompts are in; empty: none.
  std::string prompt_template() const;

 private:
  std::vector<tasks::Passage> passages(std::uint64_t index, const tasks::CountTokens& count) const;

  DataRecipe data_;
  std::int64_t max_length_;
  std::variant<tasks::Corpus, tasks::NeedleCorpus> corpus_;
};

}  // namespace r1::train
