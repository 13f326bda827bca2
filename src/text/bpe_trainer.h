#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace r1::text {

// The nano family's convention: `<|begin|>` 0, `<|end|>` 1 and `<|pad|>` 2 are special; `<think>`,
// `</think>`, `<answer>` and `</answer>`, 3 to 6, are plain: single ids, but text like any other.
std::vector<AddedToken> nano_added_tokens();

struct BpeTrainOptions {
  std::int32_t vocab_size = 4096;  // all ids: added tokens, 256 bytes, merges
  std::int64_t min_count = 2;      // a rarer pair is not merged
  std::size_t max_token_bytes = 32;
  std::vector<AddedToken> added = nano_added_tokens();  // take the first ids, in this order
  PreTokenizerSpec pre_tokenizer = nano_pre_tokenizer();
  // Contents of added tokens; begin is also what encode(add_bos) puts in front.
  std::optional<std::string> begin = "<|begin|>", end = "<|end|>", pad = "<|pad|>";
};

// Learns a byte-level BPE from documents: until vocab_size is reached, or no pair is left that
// occurs min_count times, the most frequent pair of neighbours becomes a token. Among equals the
// pair with the lowest left id wins, then the lowest right id, so the result depends on the counts
// alone, not on the documents' order. Added tokens in the documents are not learned from.
//
// next_document fills its argument and returns true, or returns false after the last one.
// Throws Error for a vocab_size that cannot hold the added tokens and the bytes.
Tokenizer train_bpe(const std::function<bool(std::string&)>& next_document,
                    const BpeTrainOptions& options);
Tokenizer train_bpe(std::span<const std::string> documents, const BpeTrainOptions& options);

}  // namespace r1::text
