#pragma once

#include <cstdint>
#include <string>

#include "tasks/corpus.h"
#include "text/tokenizer.h"
#include "train/packing.h"
#include "train/recipe.h"

namespace r1::train {

// The families a recipe names, with their weights; none named: all alike. Throws Error for an
// unknown one.
std::vector<tasks::TaskShare> task_shares(const std::vector<WeightedName>& names);

// The base model's corpus with its prompts in the recipe's template.
tasks::Corpus make_corpus(const DataRecipe& data);

// A byte-level BPE learned from the first documents of the corpus.
text::Tokenizer train_tokenizer(const DataRecipe& data, const tasks::Corpus& corpus);

// <|begin|> prompt, as the sampler sees it. The completion's tokens follow; prompt and completion
// are encoded apart, so that a corpus document is cut where sampling begins.
Sequence encode_prompt(const text::Tokenizer& tokenizer, const std::string& prompt);

// <|begin|> prompt completion <|end|>, at most max_length tokens (the rest is cut).
struct EncodedDocument {
  Sequence ids;
  std::int64_t prompt_tokens = 0;  // with <|begin|>
};
EncodedDocument encode_document(const text::Tokenizer& tokenizer, const tasks::Document& document,
                                std::int64_t max_length);

}  // namespace r1::train
