#include "model/gguf_tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "model/weight_source.h"
#include "text/byte_alphabet.h"
#include "text/tokenizer_json.h"

namespace r1 {
namespace {

using text::AddedToken;
using text::PreTokenizerSpec;
using text::SplitRule;
using text::TokenizerSpec;

// tokenizer.ggml.token_type
enum TokenType : std::int32_t { kControl = 3, kUserDefined = 4, kUnused = 5 };

PreTokenizerSpec isolated(std::initializer_list<std::string_view> patterns) {
  PreTokenizerSpec spec;
  for (const std::string_view pattern : patterns) {
    spec.splits.push_back({.kind = SplitRule::Kind::kRegex, .pattern = std::string(pattern)});
  }
  return spec;
}

// One alternative for each kind of piece; families differ in how many digits one takes.
PreTokenizerSpec words_and_numbers(std::string_view digits) {
  return isolated({fmt::format(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{})"
                               R"(| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
                               digits)});
}

struct Family {
  PreTokenizerSpec pre_tokenizer;
  bool nfc = false, ignore_merges = false;
  bool add_bos = false;  // where the file does not say
};

Family family_of(std::string_view pre, std::string_view where) {
  if (pre == "qwen2" || pre == "deepseek-r1-qwen") {
    return {.pre_tokenizer = words_and_numbers(R"(\p{N})"), .nfc = true};
  }
  if (pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3") {
    return {.pre_tokenizer = words_and_numbers(R"(\p{N}{1,3})"),
            .ignore_merges = true,
            .add_bos = true};
  }
  if (pre == "deepseek-v3") {
    return {.pre_tokenizer = text::nano_pre_tokenizer(), .add_bos = true};
  }
  if (pre == "deepseek-llm" || pre == "deepseek-coder") {
    return {.pre_tokenizer = isolated({R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
                                       "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+", R"(\p{N})"}),
            .add_bos = true};
  }
  if (pre == "gpt-2") {
    Family family;
    family.pre_tokenizer.gpt2_split = true;
    return family;
  }
  throw Error(where,
              fmt::format("the splitting rules \"{}\" (tokenizer.ggml.pre) are unknown", pre),
              "gpt-2, qwen2, deepseek-r1-qwen, llama-bpe, deepseek-llm, deepseek-coder and "
              "deepseek-v3 are known");
}

std::optional<std::int32_t> token_id(const GgufMetadata& metadata, std::string_view key,
                                     std::size_t tokens, std::string_view where) {
  if (!metadata.has(key)) return std::nullopt;
  const auto id = metadata.require<std::int64_t>(key);
  if (id < 0 || id >= static_cast<std::int64_t>(tokens)) {
    throw Error(where, fmt::format("\"{}\" is {}, beyond the {} tokens", key, id, tokens));
  }
  return static_cast<std::int32_t>(id);
}

// Line ends are written out in some files' patterns and escaped in others.
std::string with_escapes(std::string_view pattern) {
  std::string escaped;
  for (const char c : pattern) {
    escaped += c == '\r' ? "\\r" : c == '\n' ? "\\n" : std::string(1, c);
  }
  return escaped;
}

bool same_rules(const PreTokenizerSpec& a, const PreTokenizerSpec& b) {
  return a.add_prefix_space == b.add_prefix_space && a.gpt2_split == b.gpt2_split &&
         std::ranges::equal(a.splits, b.splits, [](const SplitRule& x, const SplitRule& y) {
           return x.kind == y.kind && with_escapes(x.pattern) == with_escapes(y.pattern) &&
                  x.behavior == y.behavior && x.invert == y.invert;
         });
}

}  // namespace

std::string gguf_pre_tokenizer_name(const TokenizerSpec& spec) {
  for (const std::string_view name :
       {"qwen2", "llama-bpe", "deepseek-v3", "deepseek-coder", "gpt-2"}) {
    const Family family = family_of(name, "tokenizer");
    if (family.nfc == spec.nfc && same_rules(family.pre_tokenizer, spec.pre_tokenizer)) {
      return std::string(name);
    }
  }
  throw Error("tokenizer", "its splitting rules have no name in GGUF",
              "keep this model in the Hugging Face layout");
}

text::Tokenizer tokenizer_from_gguf(const GgufMetadata& metadata, std::string_view where) {
  const auto model = metadata.require<std::string>("tokenizer.ggml.model");
  if (model != "gpt2") {
    throw Error(where,
                fmt::format("a tokenizer of kind \"{}\" (tokenizer.ggml.model) is not "
                            "supported",
                            model),
                "byte-level BPE, \"gpt2\", is");
  }
  const Family family =
      family_of(metadata.get_or<std::string>("tokenizer.ggml.pre", "default"), where);
  const auto tokens = metadata.require<std::vector<std::string_view>>("tokenizer.ggml.tokens");
  if (tokens.empty() || tokens.size() > text::kMaxTokens) {
    throw Error(where, fmt::format("\"tokenizer.ggml.tokens\" holds {} tokens", tokens.size()));
  }
  const auto types = metadata.get_or<std::vector<std::int32_t>>("tokenizer.ggml.token_type", {});
  if (!types.empty() && types.size() != tokens.size()) {
    throw Error(where, fmt::format("\"tokenizer.ggml.token_type\" has {} entries for {} tokens",
                                   types.size(), tokens.size()));
  }

  TokenizerSpec spec;
  spec.pre_tokenizer = family.pre_tokenizer;
  spec.nfc = family.nfc;
  spec.ignore_merges = family.ignore_merges;
  spec.vocab.resize(tokens.size());
  std::unordered_map<std::string_view, std::int32_t> ids;
  ids.reserve(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::int32_t type = types.empty() ? 1 : types[i];
    if (type == kUnused || tokens[i].empty()) continue;
    if (tokens[i].size() > text::kMaxTokenBytes) {
      throw Error(where, fmt::format("token {} is {} bytes long", i, tokens[i].size()));
    }
    const auto id = static_cast<std::int32_t>(i);
    text::VocabEntry& entry = spec.vocab[i];
    if (type == kControl || type == kUserDefined) {
      // Written as they are, and found in the text before anything else.
      entry.bytes = std::string(tokens[i]);
      AddedToken added;
      added.id = id;
      added.content = entry.bytes;
      added.special = type == kControl;
      spec.added.push_back(std::move(added));
      continue;
    }
    const auto bytes = text::from_byte_alphabet(tokens[i]);
    entry = {bytes ? *bytes : std::string(tokens[i]), true, bytes.has_value()};
    if (!ids.emplace(tokens[i], id).second) {
      throw Error(where, fmt::format("token {} repeats an earlier one", i));
    }
  }
  const auto merges = metadata.require<std::vector<std::string_view>>("tokenizer.ggml.merges");
  spec.merges.reserve(merges.size());
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    // A token may itself begin with a space only in the alphabet's spelling.
    const std::size_t space = merges[rank].find(' ', 1);
    const auto left = ids.find(merges[rank].substr(0, std::min(space, merges[rank].size())));
    const auto right =
        space == std::string_view::npos ? ids.end() : ids.find(merges[rank].substr(space + 1));
    if (left == ids.end() || right == ids.end()) {
      throw Error(where, fmt::format("the merge of rank {} names a token that is not in the "
                                     "vocabulary",
                                     rank));
    }
    spec.merges.emplace_back(left->second, right->second);
  }
  spec.bos = token_id(metadata, "tokenizer.ggml.bos_token_id", tokens.size(), where);
  spec.eos = token_id(metadata, "tokenizer.ggml.eos_token_id", tokens.size(), where);
  spec.pad = token_id(metadata, "tokenizer.ggml.padding_token_id", tokens.size(), where);
  if (spec.bos && metadata.get_or<bool>("tokenizer.ggml.add_bos_token", family.add_bos)) {
    spec.prefix = {*spec.bos};
  }
  return text::Tokenizer(std::move(spec), where);
}

std::string gguf_pre_tokenizer_of(const std::filesystem::path& file) {
  return GgufFile::open(file).metadata().require<std::string>("tokenizer.ggml.pre");
}

text::Tokenizer load_model_tokenizer(const std::filesystem::path& path) {
  if (!is_gguf(path)) return text::load_tokenizer(path);
  return tokenizer_from_gguf(GgufFile::open(path).metadata(), path.string());
}

}  // namespace r1
