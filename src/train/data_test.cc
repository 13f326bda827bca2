#include "train/data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "train/recipe.h"
#include "train/train_test_model.h"

namespace r1::train {
namespace {

using testing::HasSubstr;

class DataTest : public testing::Test {
 protected:
  DataRecipe data_ =
      std::get<PretrainRecipe>(parse_recipe(train_test::pretrain_recipe("unused"), "recipe")).data;
  tasks::Corpus corpus_ = make_corpus(data_);
  text::Tokenizer tokenizer_ = train_tokenizer(data_, corpus_);
};

TEST_F(DataTest, ADocumentIsBeginPromptCompletionEnd) {
  for (std::uint64_t i = 0; i < 50; ++i) {
    const tasks::Document document = corpus_.document(i);
    const auto [ids, prompt_tokens] = encode_document(tokenizer_, document, 100000);
    EXPECT_EQ(ids.front(), *tokenizer_.bos_id());
    EXPECT_EQ(ids.back(), *tokenizer_.eos_id());
    EXPECT_EQ(tokenizer_.decode(ids, true), document.prompt + document.completion);
    // The sampler's prompt is the document's beginning, token for token.
    const Sequence prompt = encode_prompt(tokenizer_, document.prompt);
    ASSERT_LT(prompt.size(), ids.size());
    EXPECT_EQ(prompt_tokens, std::ssize(prompt));
    EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), ids.begin()));
  }
}

TEST_F(DataTest, LongDocumentsAreCut) {
  const tasks::Document document = corpus_.document(3);
  const Sequence whole = encode_document(tokenizer_, document, 100000).ids;
  const auto length = static_cast<std::int64_t>(whole.size());
  const Sequence cut = encode_document(tokenizer_, document, length - 4).ids;
  EXPECT_EQ(std::ssize(cut), length - 4);
  EXPECT_TRUE(std::equal(cut.begin(), cut.end(), whole.begin()));
  EXPECT_EQ(encode_document(tokenizer_, document, length).ids, whole);
  // Cut within the prompt: all of it is prompt.
  EXPECT_EQ(encode_document(tokenizer_, document, 2).prompt_tokens,
            document.prompt.empty() ? 1 : 2);
}

TEST_F(DataTest, TheSameRecipeGivesTheSameTokenizer) {
  const text::Tokenizer again = train_tokenizer(data_, make_corpus(data_));
  EXPECT_EQ(again.vocab_size(), data_.vocab_size);
  EXPECT_EQ(again.spec().merges, tokenizer_.spec().merges);
}

TEST_F(DataTest, RefusesSharesThatDoNotAddUpAndUnknownNames) {
  DataRecipe data = data_;
  data.mixture.guess += 0.1;
  try {
    make_corpus(data);
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("data.mixture"));
  }
  EXPECT_THROW(task_shares({{"no-such-family", 1.0}}), Error);
  EXPECT_EQ(task_shares({}).size(), tasks::all_tasks().size());
}

// The committed recipe's corpus against the problems of the evaluation and against the splits'
// own rule: by number, by text, and by the rule itself.
TEST(BaseRecipe, NoHeldOutProblemIsInTheCorpus) {
  const auto recipe = std::get<PretrainRecipe>(load_recipe("recipes/nano/base.yaml"));
  const tasks::Corpus corpus = make_corpus(recipe.data);
  constexpr std::uint64_t kDocuments = 20000, kProblems = 600;
  std::set<std::uint64_t> held_out;
  std::set<std::string> questions;
  for (const auto& task : tasks::all_tasks()) {
    // Streams of the evaluation's first seeds and of the reinforcement's own.
    for (const std::uint64_t seed : {0u, 1u, 7u, 42u}) {
      for (std::uint64_t i = 0; i < kProblems; ++i) {
        const tasks::Problem problem = task->generate(tasks::Split::kHeldOut, seed, i);
        held_out.insert(problem.id);
        questions.insert(problem.question);
      }
    }
  }
  ASSERT_GT(held_out.size(), 4000u);
  std::size_t problems = 0;
  for (std::uint64_t i = 0; i < kDocuments; ++i) {
    const tasks::Document document = corpus.document(i);
    if (!document.problem) continue;
    ++problems;
    const tasks::Problem& problem = *document.problem;
    EXPECT_FALSE(held_out.contains(problem.id)) << problem.task << ": " << problem.question;
    EXPECT_FALSE(questions.contains(problem.question)) << problem.question;
    EXPECT_FALSE(tasks::find_task(problem.task).is_held_out(problem.parameters))
        << problem.task << ": " << problem.question;
    EXPECT_THAT(document.prompt, HasSubstr(problem.question));
  }
  EXPECT_GT(problems, kDocuments * 8 / 10);
}

}  // namespace
}  // namespace r1::train
