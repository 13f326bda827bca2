#include "text/bpe_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/rng.h"
#include "text/tokenizer_json.h"

namespace r1::text {
namespace {

std::vector<std::string> random_documents(std::uint64_t seed, std::size_t count) {
  Rng rng(seed);
  std::vector<std::string> documents(count);
  for (std::string& document : documents) {
    for (int word = 0; word < 12; ++word) {
      for (std::uint32_t i = 1 + rng.below(6); i > 0; --i) {
        document += static_cast<char>('a' + rng.below(4));
      }
      document += ' ';
    }
  }
  return documents;
}

// The definition: count every pair afresh before each merge.
std::vector<std::string> train_naively(const std::vector<std::string>& documents,
                                       std::size_t merges, std::int64_t min_count) {
  using Token = std::string;
  std::vector<std::vector<std::int32_t>> words;
  std::vector<Token> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  const PreTokenizer pre_tokenizer(nano_pre_tokenizer(), "test");
  for (const std::string& document : documents) {
    pre_tokenizer.for_each_piece(document, [&](std::string_view piece) {
      words.emplace_back();
      for (const char c : piece) words.back().push_back(static_cast<unsigned char>(c));
    });
  }
  std::vector<std::string> learned;
  while (learned.size() < merges) {
    std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> counts;
    for (const auto& word : words) {
      for (std::size_t i = 1; i < word.size(); ++i) ++counts[{word[i - 1], word[i]}];
    }
    const auto best = std::max_element(counts.begin(), counts.end(), [](auto& a, auto& b) {
      return a.second < b.second;  // the first of equals, which is the lowest pair
    });
    if (best == counts.end() || best->second < min_count) break;
    const auto [left, right] = best->first;
    const Token bytes =
        tokens[static_cast<std::size_t>(left)] + tokens[static_cast<std::size_t>(right)];
    auto known = std::find(tokens.begin(), tokens.end(), bytes);
    const auto id = static_cast<std::int32_t>(known - tokens.begin());
    if (known == tokens.end()) {
      tokens.push_back(bytes);
      learned.push_back(bytes);
    }
    for (auto& word : words) {
      for (std::size_t i = 0; i + 1 < word.size(); ++i) {
        if (word[i] != left || word[i + 1] != right) continue;
        word[i] = id;
        word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
  }
  return learned;
}

std::vector<std::string> learned_tokens(const Tokenizer& tokenizer) {
  std::vector<std::string> tokens;
  for (std::int32_t id = 263; id < tokenizer.vocab_size(); ++id) {
    tokens.emplace_back(tokenizer.token_bytes(id));
  }
  return tokens;
}

TEST(BpeTrainer, EqualsTheDefinition) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const auto documents = random_documents(seed, 10);
    BpeTrainOptions options;
    options.vocab_size = 263 + 60;
    EXPECT_EQ(learned_tokens(train_bpe(documents, options)), train_naively(documents, 60, 2))
        << seed;
  }
}

TEST(BpeTrainer, LearnsUntilNothingRepeats) {
  const auto documents = random_documents(1, 4);
  BpeTrainOptions options;
  options.vocab_size = 100000;
  EXPECT_EQ(learned_tokens(train_bpe(documents, options)), train_naively(documents, 100000, 2));
}

TEST(BpeTrainer, TheOrderOfDocumentsDoesNotMatter) {
  auto documents = random_documents(5, 30);
  BpeTrainOptions options;
  options.vocab_size = 400;
  const std::string first = to_tokenizer_json(train_bpe(documents, options));
  std::reverse(documents.begin(), documents.end());
  EXPECT_EQ(to_tokenizer_json(train_bpe(documents, options)), first);
}

TEST(BpeTrainer, VocabularyLayout) {
  const std::vector<std::string> documents(2, "ab ab <think>cd</think>");
  BpeTrainOptions options;
  options.vocab_size = 264;
  const Tokenizer tokenizer = train_bpe(documents, options);
  EXPECT_EQ(tokenizer.vocab_size(), 264);
  EXPECT_EQ(tokenizer.token_bytes(0), "<|begin|>");
  EXPECT_EQ(tokenizer.token_bytes(4), "</think>");
  EXPECT_EQ(tokenizer.token_bytes(7), std::string_view("\0", 1));
  EXPECT_EQ(tokenizer.token_bytes(263), "ab");
  EXPECT_EQ(tokenizer.spec().prefix, std::vector<std::int32_t>{0});
}

TEST(BpeTrainer, DoesNotLearnFromAddedTokens) {
  const std::vector<std::string> documents(50, "<think><|end|></answer>");
  EXPECT_EQ(train_bpe(documents, {}).vocab_size(), 263);
}

TEST(BpeTrainer, NumbersBecomeTokensOfAtMostThreeDigits) {
  const std::vector<std::string> documents(50, "121 1212 1212");
  const Tokenizer tokenizer = train_bpe(documents, {});
  EXPECT_EQ(tokenizer.encode("121").size(), 1u);
  EXPECT_EQ(tokenizer.encode("1212").size(), 2u);
}

TEST(BpeTrainer, TokensStayBelowTheirLargestSize) {
  const std::vector<std::string> documents(50, std::string(100, 'a'));
  BpeTrainOptions options;
  options.max_token_bytes = 4;
  const Tokenizer tokenizer = train_bpe(documents, options);
  std::size_t longest = 0;
  for (const std::string& token : learned_tokens(tokenizer))
    longest = std::max(longest, token.size());
  EXPECT_EQ(longest, 4u);
}

TEST(BpeTrainer, ImpossibleOptionsAreErrors) {
  BpeTrainOptions options;
  options.vocab_size = 262;
  EXPECT_THROW(train_bpe(std::span<const std::string>(), options), Error);
  options.vocab_size = 300;
  options.end = "<|absent|>";
  EXPECT_THROW(train_bpe(std::span<const std::string>(), options), Error);
}

}  // namespace
}  // namespace r1::text
