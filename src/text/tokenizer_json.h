#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace r1::text {

// Bounds on what is read. Published files stay below 35 MB and 300 thousand tokens.
inline constexpr std::size_t kMaxTokenizerBytes = std::size_t{128} << 20;
inline constexpr std::size_t kMaxTokenizerDepth = 32;
inline constexpr std::size_t kMaxTokens = std::size_t{1} << 20;
inline constexpr std::size_t kMaxTokenBytes = 4096;
inline constexpr std::size_t kMaxUnusedIds = std::size_t{1} << 16;

// Hugging Face's tokenizer.json, version 1.0, of a byte-level BPE model:
//   normalizer      null, NFC, Sequence of them
//   pre_tokenizer   ByteLevel, or a Sequence of Split and Digits that ends with ByteLevel
//   model           BPE: vocab, merges as "a b" or ["a", "b"], ignore_merges
//   post_processor  null, ByteLevel, TemplateProcessing that puts tokens in front, Sequence of them
//   decoder         ByteLevel
// Any other part is refused by its name: a tokenizer that nearly fits degrades a model in silence.
// `where` names the file in Errors, which also name the field.
Tokenizer parse_tokenizer_json(std::string_view json, std::string_view where);

// Reads tokenizer.json (`path`, or in the folder `path`), and from the tokenizer_config.json beside
// it, if there is one, which tokens are bos, eos and pad. Without it bos is the first token that
// the post-processor puts in front. Whether encode adds it is the post-processor's word alone.
Tokenizer load_tokenizer(const std::filesystem::path& path);

// The tokenizer.json of a tokenizer; parse_tokenizer_json reads it back to the same tokenizer, and
// equal tokenizers give equal bytes.
std::string to_tokenizer_json(const Tokenizer& tokenizer);

// The tokenizer_config.json that names bos, eos and pad.
std::string to_tokenizer_config_json(const Tokenizer& tokenizer);

// Writes both files into `folder`, which must exist, each by way of a temporary file and a rename.
void save_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& folder);

}  // namespace r1::text
