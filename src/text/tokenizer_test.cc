#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "text/bpe_trainer.h"

namespace r1::text {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr std::int32_t kByte = 7;  // the first byte's id, after the nano family's added tokens

// The parts of a tokenizer of bytes alone, with the nano family's added tokens.
TokenizerSpec nano_bytes() {
  BpeTrainOptions options;
  options.vocab_size = 263;
  return train_bpe(std::span<const std::string>(), options).spec();
}

Ids bytes(std::string_view text) {
  Ids ids;
  for (const char c : text) ids.push_back(kByte + static_cast<unsigned char>(c));
  return ids;
}

Ids operator+(Ids left, const Ids& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

// nano_bytes() with `token` added as id 263.
Tokenizer with_added(AddedToken token, bool nfc = false) {
  TokenizerSpec spec = nano_bytes();
  token.id = 263;
  spec.vocab.push_back({token.content, false, false});
  spec.added.push_back(std::move(token));
  spec.nfc = nfc;
  return Tokenizer(spec, "test");
}

AddedToken added(std::string content) {
  AddedToken token;
  token.content = std::move(content);
  return token;
}

TEST(Tokenizer, TextOfUsersNeverBecomesAControlToken) {
  const Tokenizer tokenizer(nano_bytes(), "test");
  EXPECT_EQ(tokenizer.encode("a<|end|>"), bytes("a<|end|>"));
  EXPECT_EQ(tokenizer.encode("a<|end|>", {.parse_special = true}), (bytes("a") + Ids{1}));
  // Plain added tokens are text like any other.
  EXPECT_EQ(tokenizer.encode("<think>a</think>"), (Ids{3} + bytes("a") + Ids{4}));
  // Written like a control token, so treated as one, though not flagged.
  const Tokenizer deepseek = with_added(added("<｜User｜>"));
  EXPECT_EQ(deepseek.encode("<｜User｜>"), bytes("<｜User｜>"));
  EXPECT_EQ(deepseek.encode("<｜User｜>", {.parse_special = true}), Ids{263});
}

TEST(Tokenizer, ControlTokensCannotBeReachedByWholePiecesOrMerges) {
  TokenizerSpec spec = nano_bytes();
  spec.vocab.push_back({"ab", true, true});
  AddedToken token = added("ab");
  token.id = 263;
  token.special = true;
  spec.added.push_back(token);
  spec.ignore_merges = true;
  EXPECT_EQ(Tokenizer(spec, "test").encode("ab"), bytes("ab"));
  spec.merges = {{kByte + 'a', kByte + 'b'}};
  EXPECT_THROW(Tokenizer(spec, "test"), Error);
}

TEST(Tokenizer, Begin) {
  const Tokenizer tokenizer(nano_bytes(), "test");
  EXPECT_EQ(tokenizer.encode("", {.add_bos = true}), Ids{0});
  EXPECT_EQ(tokenizer.encode("a", {.add_bos = true}), (Ids{0} + bytes("a")));
}

TEST(Tokenizer, AnyBytesComeBack) {
  TokenizerSpec spec = nano_bytes();
  spec.vocab.push_back({"\xFF\x80", true, true});
  spec.merges = {{kByte + 0xFF, kByte + 0x80}};
  const Tokenizer tokenizer(spec, "test");
  EXPECT_EQ(tokenizer.encode("a\xFF\x80"), (bytes("a") + Ids{263}));
  Rng rng(3);
  for (int trial = 0; trial < 2000; ++trial) {
    std::string text;
    for (std::uint32_t i = rng.below(50); i > 0; --i) {
      text += rng.chance(0.2F) ? "<think>" : std::string(1, static_cast<char>(rng.below(256)));
    }
    ASSERT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
    ASSERT_EQ(tokenizer.decode(tokenizer.encode(text, {.parse_special = true})), text);
  }
}

TEST(Tokenizer, Decode) {
  const Tokenizer tokenizer(nano_bytes(), "test");
  const Ids ids = Ids{0, 3} + bytes("x") + Ids{4, 1};
  EXPECT_EQ(tokenizer.decode(ids), "<|begin|><think>x</think><|end|>");
  EXPECT_EQ(tokenizer.decode(ids, true), "<think>x</think>");
  EXPECT_EQ(tokenizer.decode(Ids{-1, 263, 1 << 30}), "");  // rows without a token
}

TEST(Tokenizer, Lookups) {
  const Tokenizer tokenizer(nano_bytes(), "test");
  EXPECT_EQ(tokenizer.vocab_size(), 263);
  EXPECT_EQ(tokenizer.bos_id(), 0);
  EXPECT_EQ(tokenizer.eos_id(), 1);
  EXPECT_EQ(tokenizer.pad_id(), 2);
  EXPECT_EQ(tokenizer.id_of("<answer>"), 5);
  EXPECT_EQ(tokenizer.id_of(" "), kByte + ' ');
  EXPECT_EQ(tokenizer.id_of("no such"), std::nullopt);
  EXPECT_EQ(tokenizer.token_bytes(6), "</answer>");
  EXPECT_TRUE(tokenizer.is_control(2));
  EXPECT_FALSE(tokenizer.is_control(3));
  EXPECT_EQ(tokenizer.added_token(kByte), nullptr);
}

TEST(Tokenizer, LongestAddedTokenWinsAtTheLeftmostPlace) {
  TokenizerSpec spec = nano_bytes();
  for (const char* content : {"ab", "abcd", "bc"}) {
    AddedToken token = added(content);
    token.id = static_cast<std::int32_t>(spec.vocab.size());
    spec.vocab.push_back({token.content, false, false});
    spec.added.push_back(token);
  }
  const Tokenizer tokenizer(spec, "test");
  EXPECT_EQ(tokenizer.encode("abcdabcx"), (Ids{264, 263} + bytes("cx")));
}

TEST(Tokenizer, SingleWord) {
  AddedToken token = added("cat");
  token.single_word = true;
  const Tokenizer tokenizer = with_added(token);
  EXPECT_EQ(tokenizer.encode("cat"), Ids{263});
  EXPECT_EQ(tokenizer.encode("(cat)"), (bytes("(") + Ids{263} + bytes(")")));
  EXPECT_EQ(tokenizer.encode("cats"), bytes("cats"));
  EXPECT_EQ(tokenizer.encode("écat"), bytes("écat"));
}

TEST(Tokenizer, StripTakesWhiteSpaceAlong) {
  AddedToken token = added("<m>");
  token.lstrip = token.rstrip = true;
  const Tokenizer tokenizer = with_added(token);
  EXPECT_EQ(tokenizer.encode("a \u3000<m>\n b"), (bytes("a") + Ids{263} + bytes("b")));
  EXPECT_EQ(tokenizer.encode(" <m> <m> "), (Ids{263, 263}));
}

TEST(Tokenizer, NormalizedTokensAreFoundAfterNormalisation) {
  AddedToken token = added("caf\u00E9");
  token.normalized = true;
  EXPECT_EQ(with_added(token, true).encode("cafe\u0301"), Ids{263});
  token.normalized = false;
  EXPECT_EQ(with_added(token, true).encode("cafe\u0301"), bytes("caf\u00E9"));
}

TEST(Tokenizer, PartsThatDoNotFitAreErrors) {
  const auto broken = [](auto change) {
    TokenizerSpec spec = nano_bytes();
    change(spec);
    EXPECT_THROW(Tokenizer(spec, "test"), Error);
  };
  broken([](TokenizerSpec& s) { s.vocab[kByte + 5].byte_level = false; });
  broken([](TokenizerSpec& s) { s.vocab[kByte + 5] = s.vocab[kByte + 6]; });
  broken([](TokenizerSpec& s) { s.merges = {{kByte, kByte}}; });
  broken([](TokenizerSpec& s) { s.merges = {{kByte, 9999}}; });
  broken([](TokenizerSpec& s) { s.merges = {{-1, kByte}}; });
  broken([](TokenizerSpec& s) { s.added[0].id = 1; });
  broken([](TokenizerSpec& s) { s.added[0].content = ""; });
  broken([](TokenizerSpec& s) { s.added.push_back(s.added[0]); });
  broken([](TokenizerSpec& s) { s.prefix = {263}; });
  broken([](TokenizerSpec& s) { s.eos = -1; });
  broken([](TokenizerSpec& s) {
    s.vocab.push_back({std::string(2, '\0'), true, true});
    s.merges = {{kByte, kByte}, {kByte, kByte}};
  });
}

}  // namespace
}  // namespace r1::text
