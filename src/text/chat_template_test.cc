#include "text/chat_template.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace r1::text {
namespace {

TEST(ChatTemplate, TheWordsModelsWereTrainedOn) {
  EXPECT_EQ(render_r1_zero("r1-zero-nano", "1+{}1?"), "User: 1+{}1?\nAssistant:");
  const std::string published = render_r1_zero(TemplateKind::kR1Zero, "What is 1+1?");
  EXPECT_TRUE(published.starts_with("A conversation between User and Assistant. The user asks"));
  EXPECT_TRUE(published.ends_with("</answer>. User: What is 1+1?. Assistant:"));
}

TEST(ChatTemplate, NamesReadBack) {
  for (const TemplateKind kind : {TemplateKind::kR1Zero, TemplateKind::kR1ZeroNano}) {
    EXPECT_EQ(template_kind(template_name(kind)), kind);
  }
}

TEST(ChatTemplate, UnknownNameIsAnErrorThatListsTheKnown) {
  try {
    template_kind("r1-one");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "template: \"r1-one\" is unknown; known are: r1-zero, r1-zero-nano");
  }
}

}  // namespace
}  // namespace r1::text
