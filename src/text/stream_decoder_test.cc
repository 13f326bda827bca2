#include "text/stream_decoder.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "text/bpe_trainer.h"
#include "text/utf8.h"

namespace r1::text {
namespace {

// Only the added tokens and the bytes.
Tokenizer byte_tokenizer() {
  BpeTrainOptions options;
  options.vocab_size = 263;
  return train_bpe(std::span<const std::string>(), options);
}

bool is_whole(std::string_view text) {
  bool whole = true;
  for_each_utf8_run(text, [&](std::string_view, bool valid) { whole = whole && valid; });
  return whole;
}

std::vector<std::string> stream(std::string_view bytes) {
  const Tokenizer tokenizer = byte_tokenizer();
  StreamDecoder decoder(tokenizer);
  std::vector<std::string> parts;
  for (const std::int32_t id : tokenizer.encode(bytes)) parts.push_back(decoder.push(id));
  parts.push_back(decoder.flush());
  return parts;
}

TEST(StreamDecoder, HoldsBackUnfinishedCharacters) {
  EXPECT_EQ(stream("aé你"), (std::vector<std::string>{"a", "", "é", "", "", "你", ""}));
}

TEST(StreamDecoder, ReplacesMaximalSubparts) {
  // The example of the Unicode standard, table 3-11.
  EXPECT_EQ(stream("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"),
            (std::vector<std::string>{"", "", "�", "�", "", "", "�", "", "�A", ""}));
  EXPECT_EQ(stream("\xF0\x9F\x99").back(), "�");
  EXPECT_EQ(repair_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), "��������A");
}

TEST(StreamDecoder, NeverEmitsBrokenUtf8) {
  Rng rng(7);
  const Tokenizer tokenizer = byte_tokenizer();
  StreamDecoder decoder(tokenizer);
  for (int trial = 0; trial < 500; ++trial) {
    std::string bytes;
    // Mostly bytes that begin or continue characters, which random bytes seldom do.
    for (std::uint32_t i = rng.below(40); i > 0; --i) {
      bytes += static_cast<char>(rng.chance(0.5) ? 0x80 + rng.below(0x40) : rng.below(256));
    }
    std::string text;
    for (const std::int32_t id : tokenizer.encode(bytes)) {
      const std::string part = decoder.push(id);
      ASSERT_TRUE(is_whole(part));
      text += part;
    }
    text += decoder.flush();
    ASSERT_EQ(text, repair_utf8(bytes));
  }
}

TEST(StreamDecoder, ControlTokensGiveNoText) {
  const Tokenizer tokenizer = byte_tokenizer();
  StreamDecoder hiding(tokenizer);
  EXPECT_EQ(hiding.push(1), "");
  EXPECT_EQ(hiding.push(3), "<think>");
  EXPECT_EQ(hiding.push(100000), "");
  StreamDecoder showing(tokenizer, false);
  EXPECT_EQ(showing.push(1), "<|end|>");
}

}  // namespace
}  // namespace r1::text
