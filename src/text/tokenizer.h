#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pre_tokenizer.h"

namespace r1::text {

// One id of a vocabulary.
struct VocabEntry {
  std::string bytes;        // what the token decodes to
  bool in_model = false;    // an entry of the BPE vocabulary (added tokens need not be)
  bool byte_level = false;  // in_model, and spelled in the byte-level alphabet there
};

// All there is to know about a byte-level BPE tokenizer.
struct TokenizerSpec {
  std::vector<VocabEntry> vocab;                              // by id; may have holes
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;  // by rank: (left, right)
  std::vector<AddedToken> added;
  PreTokenizerSpec pre_tokenizer;
  bool nfc = false;                  // normalise to form C first
  bool ignore_merges = false;        // a piece that is itself a token is taken whole (Llama 3)
  std::vector<std::int32_t> prefix;  // what add_bos puts in front (TemplateProcessing)
  std::optional<std::int32_t> bos, eos, pad;
};

struct EncodeOptions {
  bool add_bos = false;  // begin with the prefix the tokenizer's file asks for, if any
  // Let text become control tokens (AddedToken::is_control). Only for text of our own making, such
  // as a rendered chat template: with text of a user it would let the user forge the conversation.
  // Plain added tokens such as `<think>` are recognised either way.
  bool parse_special = false;
};

// Byte-level BPE: text to token ids and back. Any bytes can be encoded; without NFC and with splits
// that drop nothing, decode(encode(bytes)) == bytes. Runs of invalid UTF-8 are pieces of their own.
// Immutable, safe from many threads, cheap to copy.
class Tokenizer {
 public:
  // Throws Error naming `where` if the parts do not fit together.
  Tokenizer(TokenizerSpec spec, std::string_view where);

  std::vector<std::int32_t> encode(std::string_view text, EncodeOptions options = {}) const;

  // The bytes of the tokens, which need not be valid UTF-8 (StreamDecoder repairs that). Ids
  // without a token, such as the padding rows of an embedding, stand for nothing. skip_special
  // leaves out control tokens.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;

  // The bytes of one token, empty for ids without a token.
  std::string_view token_bytes(std::int32_t id) const;

  // Largest id + 1.
  std::int32_t vocab_size() const { return static_cast<std::int32_t>(spec().vocab.size()); }
  std::optional<std::int32_t> bos_id() const { return spec().bos; }
  std::optional<std::int32_t> eos_id() const { return spec().eos; }
  std::optional<std::int32_t> pad_id() const { return spec().pad; }

  // The id of an added token by its content, else of a token by its bytes (" the", not "Ġthe").
  std::optional<std::int32_t> id_of(std::string_view token) const;

  // Whether the id is that of a control token.
  bool is_control(std::int32_t id) const;
  // The added token of that id, or null.
  const AddedToken* added_token(std::int32_t id) const;

  const TokenizerSpec& spec() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace r1::text
