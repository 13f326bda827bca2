#include "text/completion_stream.h"

#include <gtest/gtest.h>

#include "text/bpe_trainer.h"

namespace r1::text {
namespace {

// A tokenizer of single bytes: every character of more than one byte is cut.
Tokenizer byte_tokenizer() {
  BpeTrainOptions options;
  options.vocab_size = 270;
  return train_bpe(std::vector<std::string>{"x"}, options);
}

struct Read {
  std::string thinking, answer, other, text;
  std::size_t tokens = 0;
};

Read read(const std::string& completion, const std::vector<std::string>& stops = {}) {
  const Tokenizer tokenizer = byte_tokenizer();
  CompletionStream stream(tokenizer, stops);
  Read result;
  const auto take = [&](const std::vector<SectionEvent>& events) {
    for (const SectionEvent& event : events) {
      std::string& section = event.kind == SectionKind::kThinking ? result.thinking
                             : event.kind == SectionKind::kAnswer ? result.answer
                                                                  : result.other;
      section += event.text;
    }
  };
  for (const std::int32_t id : tokenizer.encode(completion)) {
    if (stream.stopped()) break;
    take(stream.push(id));
    ++result.tokens;
  }
  take(stream.finish());
  result.text = stream.text();
  return result;
}

TEST(CompletionStream, SplitsThinkingFromAnswer) {
  const Read result = read(" <think> 三加四。 </think> <answer> 7 </answer>");
  EXPECT_EQ(result.thinking, "三加四。");
  EXPECT_EQ(result.answer, "7");
  EXPECT_EQ(result.other, "");
  EXPECT_EQ(result.text, " <think> 三加四。 </think> <answer> 7 </answer>");
}

TEST(CompletionStream, EndsAtAStopStringAndKeepsItOut) {
  const std::string completion = "<think> one, two, three </think>";
  const Read result = read(completion, {"two"});
  EXPECT_EQ(result.thinking, "one,");
  EXPECT_EQ(result.text, "<think> one, ");
  EXPECT_LT(result.tokens, read(completion).tokens);
}

TEST(CompletionStream, GivesWhatWasHeldBackAtTheEnd) {
  // The first byte of a character, and a beginning of the stop string.
  EXPECT_EQ(read("<answer> 7 \xE4").answer, "7 \xEF\xBF\xBD");
  EXPECT_EQ(read("<answer> 7 tw", {"two"}).answer, "7 tw");
}

}  // namespace
}  // namespace r1::text
