#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "formats/gguf.h"
#include "text/tokenizer.h"

namespace r1 {

// The byte-level BPE tokenizer in a GGUF file's metadata (tokenizer.ggml.*). The splitting rules go
// by tokenizer.ggml.pre: gpt-2, qwen2, deepseek-r1-qwen, llama-bpe, deepseek-llm, deepseek-coder,
// deepseek-v3. Throws Error for any other, which a wrong splitting would only degrade in silence,
// and for SentencePiece vocabularies.
text::Tokenizer tokenizer_from_gguf(const GgufMetadata& metadata, std::string_view where);

// The name under which a GGUF file knows splitting rules. Throws Error if it has none.
std::string gguf_pre_tokenizer_name(const text::TokenizerSpec& spec);
// The name that a GGUF file has for its own (tokenizer.ggml.pre): several names share their rules.
std::string gguf_pre_tokenizer_of(const std::filesystem::path& file);

// The tokenizer of a model: tokenizer.json of a directory, or the vocabulary in a GGUF file.
text::Tokenizer load_model_tokenizer(const std::filesystem::path& path);

}  // namespace r1
