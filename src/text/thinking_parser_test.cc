#include "text/thinking_parser.h"

#include <gtest/gtest.h>

namespace r1::text {
namespace {

using Events = std::vector<SectionEvent>;
constexpr SectionKind kT = SectionKind::kThinking;
constexpr SectionKind kA = SectionKind::kAnswer;
constexpr SectionKind kO = SectionKind::kOther;

// Streams `text` in pieces of `size` and joins the events of a section.
Events parse(std::string_view text, std::size_t size, SectionKind starts_in = kO,
             CompletionForm form = CompletionForm::kTagged) {
  ThinkingParser parser(form, starts_in);
  Events joined;
  const auto add = [&](const Events& events) {
    for (const SectionEvent& event : events) {
      EXPECT_FALSE(event.text.empty());
      if (!joined.empty() && joined.back().kind == event.kind) {
        joined.back().text += event.text;
      } else {
        joined.push_back(event);
      }
    }
  };
  for (std::size_t at = 0; at < text.size(); at += size) add(parser.push(text.substr(at, size)));
  add(parser.finish());
  return joined;
}

struct Case {
  std::string_view text;
  Events events;
};

TEST(ThinkingParser, SplitsHoweverTheStreamIsCut) {
  const std::vector<Case> cases = {
      {" <think> 1 + 1\n= 2 </think> <answer> 2 </answer>\n", {{kT, "1 + 1\n= 2"}, {kA, "2"}}},
      {"<think>a</think>b<answer>c</answer>d", {{kT, "a"}, {kO, "b"}, {kA, "c"}, {kO, "d"}}},
      {"no tags at all", {{kO, "no tags at all"}}},
      {"<think>open", {{kT, "open"}}},
      {"<think>a <answer>b", {{kT, "a"}, {kA, "b"}}},
      {"<think>1 < 2 <b> </thin", {{kT, "1 < 2 <b> </thin"}}},
      {"<answer>x < y</answer>", {{kA, "x < y"}}},
      {"a </think> b", {{kO, "a </think> b"}}},
      {"<<think>a<</think>", {{kO, "<"}, {kT, "a<"}}},
      {"<think> </think> <answer></answer>", {}},
      {"", {}},
  };
  for (const Case& c : cases) {
    for (std::size_t size = 1; size <= c.text.size() + 1; ++size) {
      EXPECT_EQ(parse(c.text, size), c.events) << c.text << " in pieces of " << size;
    }
  }
}

TEST(ThinkingParser, CanStartInsideTheThinking) {
  EXPECT_EQ(parse("a</think>b", 3, kT), (Events{{kT, "a"}, {kO, "b"}}));
}

TEST(ThinkingParser, AChatAnswersWithoutTags) {
  const std::vector<Case> cases = {
      {"<think>a</think>\n\nb <answer>c</answer>", {{kT, "a"}, {kA, "b <answer>c</answer>"}}},
      {"\n<think>\n\n</think>\n\nb", {{kA, "b"}}},
      {"no tags at all", {{kA, "no tags at all"}}},
      {"write <think> and </think>", {{kA, "write <think> and </think>"}}},
      {"<think>a <answer>b", {{kT, "a <answer>b"}}},
  };
  for (const Case& c : cases) {
    for (std::size_t size = 1; size <= c.text.size() + 1; ++size) {
      EXPECT_EQ(parse(c.text, size, kO, CompletionForm::kChat), c.events)
          << c.text << " in pieces of " << size;
    }
  }
  EXPECT_EQ(parse("a</think>\n\nb</think>", 2, kT, CompletionForm::kChat),
            (Events{{kT, "a"}, {kA, "b</think>"}}));
  EXPECT_EQ(parse("never closed", 2, kT, CompletionForm::kChat), (Events{{kT, "never closed"}}));
}

TEST(ThinkingParser, PlainTextKeepsItsBytes) {
  EXPECT_EQ(parse("  <think> a </think>\n", 3, kO, CompletionForm::kPlain),
            (Events{{kO, "  <think> a </think>\n"}}));
}

TEST(SplitCompletion, OfAChatIsWellFormedWhereItAnswers) {
  const Completion done =
      split_completion("a</think>\n\nb", CompletionForm::kChat, SectionKind::kThinking);
  EXPECT_EQ(done.thinking, "a");
  EXPECT_EQ(done.answer, "b");
  EXPECT_TRUE(done.well_formed);
  EXPECT_FALSE(split_completion("a", CompletionForm::kChat, SectionKind::kThinking).well_formed);
  EXPECT_EQ(split_completion(" b ", CompletionForm::kPlain).answer, " b ");
}

TEST(ThinkingParser, TextIsNotHeldBackWithoutNeed) {
  ThinkingParser parser;
  EXPECT_EQ(parser.push(" <think> one"), (Events{{kT, "one"}}));
  EXPECT_EQ(parser.push(" two "), (Events{{kT, " two"}}));
  EXPECT_EQ(parser.push("<"), Events{});
  EXPECT_EQ(parser.push(" 3"), (Events{{kT, " < 3"}}));
}

TEST(SplitCompletion, WellFormed) {
  const Completion c = split_completion(" <think> two </think> <answer> 2 </answer>");
  EXPECT_TRUE(c.well_formed);
  EXPECT_EQ(c.thinking, "two");
  EXPECT_EQ(c.answer, "2");
  EXPECT_TRUE(split_completion("<think></think><answer></answer>").well_formed);
}

TEST(SplitCompletion, Malformed) {
  for (const char* text :
       {"", "2", "<think>a</think>", "<answer>2</answer>", "<answer>2</answer><think>a</think>",
        "x<think>a</think><answer>2</answer>", "<think>a</think>x<answer>2</answer>",
        "<think>a</think><answer>2</answer>x", "<think>a<answer>2</answer></think>",
        "<think>a</think></think><answer>2</answer>", "<think>a</think><answer>2",
        "<think>a</think><answer>1</answer><answer>2</answer>",
        "<think><think>a</think><answer>2</answer>", "<think>a</answer></think><answer>2"}) {
    EXPECT_FALSE(split_completion(text).well_formed) << text;
  }
}

TEST(SplitCompletion, ForgivesMissingTags) {
  EXPECT_EQ(split_completion("<think>a <answer>2").answer, "2");
  EXPECT_EQ(split_completion("<think>a <answer>2").thinking, "a");
  EXPECT_EQ(split_completion("<think>a</think><answer>1</answer> <answer>2</answer>").answer, "2");
  EXPECT_EQ(split_completion("<think>a</think><think>b </thi").thinking, "a");
  EXPECT_EQ(split_completion("<think>b </thi").thinking, "b </thi");
}

}  // namespace
}  // namespace r1::text
