#include "tasks/corpus.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "tasks/grade.h"

namespace r1::tasks {
namespace {

std::string plain_prompt(std::string_view question) {
  return fmt::format("User: {}\nAssistant:", question);
}

TEST(Corpus, AnyDocumentAtAnyTime) {
  const Corpus corpus(3, {}, plain_prompt);
  const Corpus same(3, {}, plain_prompt);
  const Corpus other(4, {}, plain_prompt);
  int differing = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const Document a = corpus.document(i), b = same.document(199 - i);
    EXPECT_EQ(a.prompt + a.completion, same.document(i).prompt + same.document(i).completion);
    EXPECT_EQ(b.completion, corpus.document(199 - i).completion);
    differing += a.completion != other.document(i).completion;
  }
  EXPECT_GT(differing, 150);
}

// The shares that docs/tasks.md states.
TEST(Corpus, MixtureKnowsHowToReasonButSeldomDoes) {
  const Corpus corpus(1, {}, plain_prompt);
  constexpr int kDocuments = 20000;
  int drills = 0, right = 0, careful = 0, well_formed = 0;
  std::size_t bytes = 0, careful_bytes = 0;
  std::map<std::string, std::pair<int, int>> by_task;  // right, all
  for (std::uint64_t i = 0; i < kDocuments; ++i) {
    const Document document = corpus.document(i);
    bytes += document.completion.size();
    if (!document.problem) {
      ++drills;
      EXPECT_TRUE(document.prompt.empty());
      continue;
    }
    const Problem& problem = *document.problem;
    ASSERT_TRUE(find_task(problem.task).may_train(problem.parameters));
    const RewardParts parts = grade(problem, document.completion);
    right += parts.correct;
    well_formed += parts.well_formed;
    by_task[problem.task].first += parts.correct;
    ++by_task[problem.task].second;
    if (document.style == Style::kCareful || document.style == Style::kCarefulCheck) {
      ++careful;
      careful_bytes += document.completion.size();
    }
  }
  const double chats = kDocuments - drills;
  fmt::print(
      "drills {:.3f} of documents; of the others: right {:.3f}, careful {:.3f}, "
      "well formed {:.3f}; careful bytes of all {:.3f}\n",
      drills / double(kDocuments), right / chats, careful / chats, well_formed / chats,
      double(careful_bytes) / double(bytes));
  for (const auto& [task, count] : by_task) {
    fmt::print("  {:<11} right {:.3f} of {}\n", task, count.first / double(count.second),
               count.second);
    EXPECT_NEAR(count.second / chats, 1.0 / double(all_tasks().size()), 0.02);
  }
  EXPECT_NEAR(drills / double(kDocuments), 0.18, 0.01);
  EXPECT_NEAR(right / chats, 0.49, 0.02);
  EXPECT_NEAR(careful / chats, 0.30, 0.02);
}

}  // namespace
}  // namespace r1::tasks
