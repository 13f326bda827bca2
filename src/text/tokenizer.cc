#include "text/tokenizer.h"

#include <array>
#include <limits>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace r1::text {
namespace {

using ByteIndex = std::unordered_map<std::string_view, std::int32_t>;  // byte-level tokens by bytes

bool has_id(const TokenizerSpec& spec, std::int32_t id) {
  return id >= 0 && static_cast<std::size_t>(id) < spec.vocab.size();
}

std::unordered_map<std::int32_t, std::size_t> index_added(const TokenizerSpec& spec,
                                                          std::string_view where) {
  std::unordered_map<std::int32_t, std::size_t> index;
  std::unordered_map<std::string_view, std::int32_t> contents;
  for (std::size_t i = 0; i < spec.added.size(); ++i) {
    const AddedToken& token = spec.added[i];
    if (token.content.empty()) throw Error(where, fmt::format("added token {} is empty", token.id));
    if (!has_id(spec, token.id) ||
        spec.vocab[static_cast<std::size_t>(token.id)].bytes != token.content) {
      throw Error(where,
                  fmt::format("added token {} is another token in the vocabulary", token.id));
    }
    if (!index.emplace(token.id, i).second) {
      throw Error(where, fmt::format("two added tokens have the id {}", token.id));
    }
    if (!contents.emplace(token.content, token.id).second) {
      throw Error(where, fmt::format("two added tokens are \"{}\"", token.content));
    }
  }
  return index;
}

ByteIndex index_bytes(const TokenizerSpec& spec, std::string_view where) {
  ByteIndex index;
  index.reserve(spec.vocab.size());
  for (std::size_t id = 0; id < spec.vocab.size(); ++id) {
    const VocabEntry& entry = spec.vocab[id];
    if (!entry.byte_level) continue;
    if (entry.bytes.empty()) throw Error(where, fmt::format("token {} is empty", id));
    if (!index.emplace(entry.bytes, static_cast<std::int32_t>(id)).second) {
      throw Error(where, fmt::format("token {} is in the vocabulary twice", id));
    }
  }
  return index;
}

}  // namespace

struct Tokenizer::State {
  State(TokenizerSpec parts, std::string_view where)
      : spec(std::move(parts)),
        added_by_id(index_added(spec, where)),
        by_bytes(index_bytes(spec, where)),
        pre_tokenizer(spec.pre_tokenizer, where),
        raw_matcher(matcher(false)),
        normalized_matcher(matcher(true)),
        bpe(byte_ids(where), bpe_merges(where)) {
    for (const AddedToken& token : spec.added) by_content.emplace(token.content, token.id);
    for (const std::int32_t id : spec.prefix) check_id(id, "prefix", where);
    for (const auto& id : {spec.bos, spec.eos, spec.pad}) {
      if (id) check_id(*id, "special", where);
    }
  }

  const AddedToken* added_token(std::int32_t id) const {
    const auto found = added_by_id.find(id);
    return found == added_by_id.end() ? nullptr : &spec.added[found->second];
  }

  bool is_control(std::int32_t id) const {
    const AddedToken* token = added_token(id);
    return token != nullptr && token->is_control();
  }

  void check_id(std::int32_t id, std::string_view role, std::string_view where) const {
    if (!has_id(spec, id) || spec.vocab[static_cast<std::size_t>(id)].bytes.empty()) {
      throw Error(where, fmt::format("the {} token {} is not in the vocabulary", role, id));
    }
  }

  // Tokens looked for in raw text, or in normalised text with their contents normalised too.
  AddedTokenMatcher matcher(bool normalized) {
    std::vector<AddedToken> tokens;
    std::vector<std::string> contents;
    for (const AddedToken& token : spec.added) {
      if (token.normalized != normalized) continue;
      tokens.push_back(token);
      contents.push_back(normalized && spec.nfc ? to_nfc(token.content) : token.content);
      (normalized ? normalized_ids : raw_ids).push_back(token.id);
    }
    return AddedTokenMatcher(tokens, contents);
  }

  // Published vocabularies may lack these (DeepSeek-LLM's); invalid text then loses them.
  static bool never_in_utf8(std::size_t byte) {
    return byte == 0xC0 || byte == 0xC1 || byte >= 0xF5;
  }

  std::array<std::int32_t, 256> byte_ids(std::string_view where) const {
    std::array<std::int32_t, 256> ids{};
    for (std::size_t byte = 0; byte < ids.size(); ++byte) {
      const char c = static_cast<char>(byte);
      const auto found = by_bytes.find(std::string_view(&c, 1));
      const bool missing = found == by_bytes.end() || is_control(found->second);
      if (missing && never_in_utf8(byte)) {
        ids[byte] = -1;
        continue;
      }
      if (missing) {
        throw Error(where, fmt::format("no token stands for the byte 0x{:02X}", byte),
                    "only byte-level BPE with all bytes of UTF-8 is supported");
      }
      ids[byte] = found->second;
    }
    return ids;
  }

  // Whether the id is that of a byte-level token with these bytes; no other has them.
  bool is_byte_level(std::int32_t id, std::string_view bytes) const {
    if (!has_id(spec, id)) return false;
    const VocabEntry& entry = spec.vocab[static_cast<std::size_t>(id)];
    return entry.byte_level && entry.bytes == bytes;
  }

  std::vector<BpeMerge> bpe_merges(std::string_view where) const {
    std::vector<BpeMerge> merges;
    merges.reserve(spec.merges.size());
    std::unordered_map<std::uint64_t, std::size_t> seen;
    seen.reserve(spec.merges.size());
    for (const auto& [left, right] : spec.merges) {
      const std::size_t rank = merges.size();
      for (const std::int32_t id : {left, right}) {
        if (!has_id(spec, id) || !spec.vocab[static_cast<std::size_t>(id)].byte_level) {
          throw Error(where, fmt::format("merge {} names no byte-level token", rank));
        }
      }
      const std::string bytes = spec.vocab[static_cast<std::size_t>(left)].bytes +
                                spec.vocab[static_cast<std::size_t>(right)].bytes;
      // Vocabularies mostly list tokens in the order in which they are made.
      std::int32_t result = merges.empty() ? -1 : merges.back().result + 1;
      if (!is_byte_level(result, bytes)) {
        const auto found = by_bytes.find(bytes);
        if (found == by_bytes.end()) {
          throw Error(where,
                      fmt::format("merge {} makes a token that is not in the vocabulary", rank));
        }
        result = found->second;
      }
      // Else plain text could become a control token by merging.
      if (is_control(result)) {
        throw Error(where, fmt::format("merge {} makes the control token {}", rank, result));
      }
      const auto key = static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
      if (!seen.emplace(key, rank).second) {
        throw Error(where, fmt::format("merge {} repeats an earlier one", rank));
      }
      merges.push_back({left, right, result});
    }
    return merges;
  }

  void encode_pieces(std::string_view text, Bpe::Scratch& scratch,
                     std::vector<std::int32_t>& ids) const {
    pre_tokenizer.for_each_piece(text, [&](std::string_view piece) {
      if (spec.ignore_merges) {
        const auto whole = by_bytes.find(piece);
        if (whole != by_bytes.end() && !is_control(whole->second)) {
          ids.push_back(whole->second);
          return;
        }
      }
      bpe.encode(piece, scratch, ids);
    });
  }

  TokenizerSpec spec;
  std::unordered_map<std::int32_t, std::size_t> added_by_id;
  std::unordered_map<std::string_view, std::int32_t> by_content;  // views of spec.added
  ByteIndex by_bytes;                                             // views of spec.vocab
  PreTokenizer pre_tokenizer;
  std::vector<std::int32_t> raw_ids, normalized_ids;  // by the matchers' index
  AddedTokenMatcher raw_matcher, normalized_matcher;
  Bpe bpe;
};

Tokenizer::Tokenizer(TokenizerSpec spec, std::string_view where)
    : state_(std::make_shared<const State>(std::move(spec), where)) {}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  // Pieces count in 32 bits; NFC at most triples UTF-8.
  if (text.size() > std::numeric_limits<std::int32_t>::max() / 4) {
    throw Error("text", fmt::format("{} bytes are too long to encode in one piece", text.size()));
  }
  const State& state = *state_;
  std::vector<std::int32_t> ids;
  if (options.add_bos) ids = state.spec.prefix;
  const AddedTokenSet set = options.parse_special ? AddedTokenSet::kAll : AddedTokenSet::kPlain;
  Bpe::Scratch scratch;
  state.raw_matcher.split(text, set, [&](std::string_view raw, std::int32_t token) {
    if (token >= 0) {
      ids.push_back(state.raw_ids[static_cast<std::size_t>(token)]);
      return;
    }
    const std::string normalized = state.spec.nfc ? to_nfc(raw) : std::string();
    if (state.spec.nfc) raw = normalized;
    state.normalized_matcher.split(raw, set, [&](std::string_view part, std::int32_t inner) {
      if (inner >= 0) {
        ids.push_back(state.normalized_ids[static_cast<std::size_t>(inner)]);
      } else {
        state.encode_pieces(part, scratch, ids);
      }
    });
  });
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string text;
  for (const std::int32_t id : ids) {
    if (!skip_special || !is_control(id)) text += token_bytes(id);
  }
  return text;
}

std::string_view Tokenizer::token_bytes(std::int32_t id) const {
  if (!has_id(spec(), id)) return {};
  return spec().vocab[static_cast<std::size_t>(id)].bytes;
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
  if (const auto found = state_->by_content.find(token); found != state_->by_content.end()) {
    return found->second;
  }
  if (const auto found = state_->by_bytes.find(token); found != state_->by_bytes.end()) {
    return found->second;
  }
  return {};
}

bool Tokenizer::is_control(std::int32_t id) const { return state_->is_control(id); }

const AddedToken* Tokenizer::added_token(std::int32_t id) const { return state_->added_token(id); }

const TokenizerSpec& Tokenizer::spec() const { return state_->spec; }

}  // namespace r1::text
