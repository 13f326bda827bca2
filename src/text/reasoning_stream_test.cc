#include "text/reasoning_stream.h"

#include <gtest/gtest.h>

#include "text/bpe_trainer.h"

namespace r1::text {
namespace {

// Bytes, and the four tags as tokens of their own.
Tokenizer make_tokenizer() {
  BpeTrainOptions options;
  options.vocab_size = 270;
  return train_bpe(std::vector<std::string>{"x"}, options);
}

class ReasoningStreamTest : public testing::Test {
 protected:
  struct Read {
    std::string thinking, content, stop;
    std::vector<SectionKind> sections;
    std::vector<bool> tags;
  };
  Read read(const std::string& text, ReasoningStreamOptions options) {
    ReasoningStream stream(tokenizer_, std::move(options));
    Read result;
    const auto add = [&](const std::vector<SectionEvent>& events) {
      for (const SectionEvent& event : events) {
        (event.kind == SectionKind::kThinking ? result.thinking : result.content) += event.text;
      }
    };
    for (const std::int32_t id : tokenizer_.encode(text)) {
      if (stream.stopped()) break;
      const ReasoningStream::Step step = stream.push(id);
      add(step.pieces);
      result.sections.push_back(step.section);
      result.tags.push_back(step.tag);
    }
    add(stream.finish());
    result.stop = stream.stop_found();
    return result;
  }
  Tokenizer tokenizer_ = make_tokenizer();
};

TEST_F(ReasoningStreamTest, SplitsByTheIdsOfTags) {
  ASSERT_TRUE(tokenizer_.id_of("</think>"));
  const Read tagged =
      read(" <think>ab c</think> <answer>4</answer>", {.form = CompletionForm::kTagged});
  EXPECT_EQ(tagged.thinking, "ab c");
  EXPECT_EQ(tagged.content, "4");
  const Read chat = read("ab</think>\n\n4 2",
                         {.form = CompletionForm::kChat, .starts_in = SectionKind::kThinking});
  EXPECT_EQ(chat.thinking, "ab");
  EXPECT_EQ(chat.content, "4 2");
  EXPECT_EQ(chat.sections[2], SectionKind::kThinking);  // the tag itself
  EXPECT_TRUE(chat.tags[2]);
  EXPECT_EQ(chat.sections.back(), SectionKind::kAnswer);
}

TEST_F(ReasoningStreamTest, ATextThatSpellsATagIsText) {
  // Byte by byte, so that the tokenizer cannot make it the tag.
  ReasoningStream stream(tokenizer_,
                         {.form = CompletionForm::kChat, .starts_in = SectionKind::kThinking});
  std::string thinking;
  for (const char byte : std::string("a</think>b")) {
    const auto id = tokenizer_.id_of(std::string(1, byte));
    ASSERT_TRUE(id);
    for (const SectionEvent& event : stream.push(*id).pieces) {
      EXPECT_EQ(event.kind, SectionKind::kThinking);
      thinking += event.text;
    }
  }
  EXPECT_EQ(thinking, "a</think>b");
}

TEST_F(ReasoningStreamTest, StopStringsCountOutsideOfThinking) {
  const Read stopped = read(
      "a 8 b</think>7 8 9",
      {.form = CompletionForm::kChat, .starts_in = SectionKind::kThinking, .stops = {"8", "x"}});
  EXPECT_EQ(stopped.thinking, "a 8 b");
  EXPECT_EQ(stopped.content, "7 ");
  EXPECT_EQ(stopped.stop, "8");
}

TEST_F(ReasoningStreamTest, ShowsTagsWhereTheyAreWanted) {
  const Read all = read(" <think>a</think> <answer>4</answer>",
                        {.form = CompletionForm::kTagged, .show_tags = true});
  EXPECT_EQ(all.content, " <think>a</think> <answer>4</answer>");
  EXPECT_EQ(all.thinking, "");
}

TEST_F(ReasoningStreamTest, AContinuedSectionKeepsItsWhiteSpace) {
  const ReasoningStreamOptions options{
      .form = CompletionForm::kChat, .starts_in = SectionKind::kAnswer, .continues = true};
  EXPECT_EQ(read(" 4", options).content, " 4");
}

}  // namespace
}  // namespace r1::text
