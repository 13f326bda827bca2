#include "text/bpe_trainer.h"

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "text/tokenizer_json.h"

namespace r1::text {
namespace {

constexpr std::string_view kWhere = "tokenizer training";

using Pair = std::pair<std::int32_t, std::int32_t>;

struct PairHash {
  std::size_t operator()(const Pair& pair) const {
    const auto key =
        static_cast<std::uint64_t>(pair.first) << 32 | static_cast<std::uint32_t>(pair.second);
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> 16);
  }
};

struct Word {
  std::vector<std::int32_t> ids;
  std::int64_t count = 0;
};

// How often two neighbours occur, and the words they have been seen in (some no longer).
struct PairUse {
  std::int64_t count = 0;
  std::vector<std::uint32_t> words;
};

struct Candidate {
  std::int64_t count;
  Pair pair;
  // The priority queue's top is the largest: more frequent, then the lower pair.
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

// The distinct pieces of all documents with their numbers.
std::unordered_map<std::string, std::int64_t> count_pieces(
    const std::function<bool(std::string&)>& next_document, const BpeTrainOptions& options) {
  const PreTokenizer pre_tokenizer(options.pre_tokenizer, kWhere);
  std::vector<std::string> contents;
  for (const AddedToken& token : options.added) contents.push_back(token.content);
  const AddedTokenMatcher matcher(options.added, contents);
  std::unordered_map<std::string, std::int64_t> counts;
  std::string document;
  std::string key;
  while (next_document(document)) {
    matcher.split(document, AddedTokenSet::kAll, [&](std::string_view text, std::int32_t token) {
      if (token >= 0) return;
      pre_tokenizer.for_each_piece(text, [&](std::string_view piece) {
        key.assign(piece);
        ++counts[key];
      });
    });
  }
  return counts;
}

class Trainer {
 public:
  explicit Trainer(const BpeTrainOptions& options) : options_(options) {
    const auto added = static_cast<std::int32_t>(options.added.size());
    if (options.vocab_size < added + 256 ||
        static_cast<std::size_t>(options.vocab_size) > kMaxTokens) {
      throw Error(kWhere, fmt::format("vocab_size is {}", options.vocab_size),
                  fmt::format("it must be from {} to {}", added + 256, kMaxTokens));
    }
    for (std::int32_t id = 0; id < added; ++id) {
      AddedToken token = options.added[static_cast<std::size_t>(id)];
      token.id = id;
      spec_.vocab.push_back({token.content, true, false});
      token_of_.emplace(token.content, id);
      spec_.added.push_back(std::move(token));
    }
    first_byte_ = added;
    for (int byte = 0; byte < 256; ++byte) add_token(std::string(1, static_cast<char>(byte)));
  }

  void learn(const std::unordered_map<std::string, std::int64_t>& pieces) {
    for (const auto& [piece, count] : pieces) {
      Word word{{}, count};
      for (const char c : piece) word.ids.push_back(first_byte_ + static_cast<unsigned char>(c));
      const auto index = static_cast<std::uint32_t>(words_.size());
      words_.push_back(std::move(word));
      count_pairs(index, 1);
    }
    publish_changes();
    while (static_cast<std::int32_t>(spec_.vocab.size()) < options_.vocab_size && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const auto use = pairs_.find(best.pair);
      if (use == pairs_.end() || use->second.count != best.count) continue;  // out of date
      if (best.count < options_.min_count) break;
      merge(best.pair);
    }
  }

  Tokenizer finish() {
    spec_.pre_tokenizer = options_.pre_tokenizer;
    spec_.bos = id_of(options_.begin);
    spec_.eos = id_of(options_.end);
    spec_.pad = id_of(options_.pad);
    if (spec_.bos) spec_.prefix = {*spec_.bos};
    return Tokenizer(std::move(spec_), kWhere);
  }

 private:
  std::int32_t add_token(const std::string& bytes) {
    const auto id = static_cast<std::int32_t>(spec_.vocab.size());
    spec_.vocab.push_back({bytes, true, true});
    token_of_.emplace(bytes, id);
    return id;
  }

  std::optional<std::int32_t> id_of(const std::optional<std::string>& content) const {
    if (!content) return {};
    const auto found = token_of_.find(*content);
    if (found == token_of_.end() || found->second >= first_byte_) {
      throw Error(kWhere, fmt::format("\"{}\" is not among the added tokens", *content));
    }
    return found->second;
  }

  // Adds (sign 1) or takes away (sign -1) the pairs of a word.
  void count_pairs(std::uint32_t index, std::int64_t sign) {
    const Word& word = words_[index];
    for (std::size_t i = 1; i < word.ids.size(); ++i) {
      const Pair pair{word.ids[i - 1], word.ids[i]};
      PairUse& use = pairs_[pair];
      use.count += sign * word.count;
      if (sign > 0 && (use.words.empty() || use.words.back() != index)) use.words.push_back(index);
      changed_.insert(pair);
    }
  }

  void publish_changes() {
    for (const Pair& pair : changed_) {
      const auto use = pairs_.find(pair);
      if (use->second.count > 0) {
        queue_.push({use->second.count, pair});
      } else {
        pairs_.erase(use);
      }
    }
    changed_.clear();
  }

  void merge(const Pair& pair) {
    const std::string bytes = spec_.vocab[static_cast<std::size_t>(pair.first)].bytes +
                              spec_.vocab[static_cast<std::size_t>(pair.second)].bytes;
    // Two ways to the same bytes share one token; none may lead to an added token.
    const auto existing = token_of_.find(bytes);
    if (bytes.size() > options_.max_token_bytes ||
        (existing != token_of_.end() && existing->second < first_byte_)) {
      return;  // its candidate is gone from the queue, so the pair stays as it is
    }
    const std::int32_t id = existing != token_of_.end() ? existing->second : add_token(bytes);
    // A pair can come back once its parts can be made in another way; its rank is the first one.
    if (merged_.insert(pair).second) spec_.merges.push_back(pair);
    const std::vector<std::uint32_t> words = std::move(pairs_[pair].words);
    pairs_[pair].words.clear();
    for (const std::uint32_t index : words) {
      if (!contains(words_[index].ids, pair)) continue;
      count_pairs(index, -1);
      replace(words_[index].ids, pair, id);
      count_pairs(index, 1);
    }
    publish_changes();
  }

  static bool contains(const std::vector<std::int32_t>& ids, const Pair& pair) {
    for (std::size_t i = 1; i < ids.size(); ++i) {
      if (ids[i - 1] == pair.first && ids[i] == pair.second) return true;
    }
    return false;
  }

  static void replace(std::vector<std::int32_t>& ids, const Pair& pair, std::int32_t id) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const bool here = i + 1 < ids.size() && ids[i] == pair.first && ids[i + 1] == pair.second;
      ids[kept++] = here ? id : ids[i];
      if (here) ++i;
    }
    ids.resize(kept);
  }

  const BpeTrainOptions& options_;
  TokenizerSpec spec_;
  std::int32_t first_byte_ = 0;
  std::unordered_map<std::string, std::int32_t> token_of_;  // bytes to id
  std::vector<Word> words_;
  std::unordered_map<Pair, PairUse, PairHash> pairs_;
  std::unordered_set<Pair, PairHash> changed_;
  std::unordered_set<Pair, PairHash> merged_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

std::vector<AddedToken> nano_added_tokens() {
  std::vector<AddedToken> tokens;
  const auto add = [&](std::string content, bool special) {
    AddedToken token;
    token.id = static_cast<std::int32_t>(tokens.size());
    token.content = std::move(content);
    token.special = special;
    tokens.push_back(std::move(token));
  };
  for (const char* name : {"<|begin|>", "<|end|>", "<|pad|>"}) add(name, true);
  for (const char* name : {"<think>", "</think>", "<answer>", "</answer>"}) add(name, false);
  return tokens;
}

Tokenizer train_bpe(const std::function<bool(std::string&)>& next_document,
                    const BpeTrainOptions& options) {
  Trainer trainer(options);
  trainer.learn(count_pieces(next_document, options));
  return trainer.finish();
}

Tokenizer train_bpe(std::span<const std::string> documents, const BpeTrainOptions& options) {
  std::size_t next = 0;
  return train_bpe(
      [&](std::string& document) {
        if (next == documents.size()) return false;
        document = documents[next++];
        return true;
      },
      options);
}

}  // namespace r1::text
