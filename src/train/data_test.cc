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
  text::Tokenizer tokenizer_ = TrainingText(data_, 100000).train_tokenizer();
};

TEST_F(DataTest, ADocumentIsBeginPassagesEnd) {
  for (std::uint64_t i = 0; i < 50; ++i) {
    const tasks::Document document = corpus_.document(i);
    const std::vector<tasks::Passage> passages = {{document.prompt, false},
                                                  {document.completion, true}};
    const auto [ids, learned] = encode_document(tokenizer_, passages, 100000);
    EXPECT_EQ(ids.front(), *tokenizer_.bos_id());
    EXPECT_EQ(ids.back(), *tokenizer_.eos_id());
    EXPECT_EQ(tokenizer_.decode(ids, true), document.prompt + document.completion);
    // The sampler's prompt is the document's beginning, token for token.
    const Sequence prompt = encode_prompt(tokenizer_, document.prompt);
    ASSERT_LT(prompt.size(), ids.size());
    EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), ids.begin()));
    ASSERT_EQ(learned.size(), ids.size());
    for (std::size_t t = 0; t < ids.size(); ++t) EXPECT_EQ(learned[t], t >= prompt.size()) << t;
  }
}

TEST_F(DataTest, OnlyLearnedPassagesAreLearned) {
  const std::vector<tasks::Passage> passages = {
      {"1+1", false}, {"=2", true}, {" 2+2", false}, {"=4", true}, {" end", false}};
  const EncodedDocument document = encode_document(tokenizer_, passages, 1000);
  Sequence learned;
  for (std::size_t t = 0; t < document.ids.size(); ++t) {
    if (document.learned[t]) learned.push_back(document.ids[t]);
  }
  EXPECT_EQ(tokenizer_.decode(learned), "=2=4");
}

TEST_F(DataTest, LongDocumentsAreCut) {
  const std::vector<tasks::Passage> passages = {{"What is 3+4?", false}, {" 3+4=7", true}};
  const Sequence whole = encode_document(tokenizer_, passages, 100000).ids;
  const auto length = static_cast<std::int64_t>(whole.size());
  const EncodedDocument cut = encode_document(tokenizer_, passages, length - 4);
  EXPECT_EQ(std::ssize(cut.ids), length - 4);
  EXPECT_EQ(cut.learned.size(), cut.ids.size());
  EXPECT_TRUE(std::equal(cut.ids.begin(), cut.ids.end(), whole.begin()));
  EXPECT_EQ(encode_document(tokenizer_, passages, length).ids, whole);
}

// A document that is cut before anything was to be learned is learned as far as it goes.
TEST_F(DataTest, EveryDocumentTeachesSomething) {
  DataRecipe data = data_;
  data.completion_only_loss = true;
  const TrainingText text(data, 4);
  for (std::uint64_t i = 0; i < 50; ++i) {
    const EncodedDocument document = text.document(tokenizer_, i);
    EXPECT_EQ(std::ssize(document.ids), 4);
    EXPECT_NE(std::ranges::find(document.learned, true), document.learned.end());
  }
}

TEST_F(DataTest, TheSameRecipeGivesTheSameTokenizer) {
  const text::Tokenizer again = TrainingText(data_, 100000).train_tokenizer();
  EXPECT_EQ(again.vocab_size(), data_.vocab_size);
  EXPECT_EQ(again.spec().merges, tokenizer_.spec().merges);
}

// The committed recipe's documents keep to its lengths in its own tokens, and learn the names
// that are asked for and nothing else.
TEST(NeedleRecipe, DocumentsAreCountedInTokens) {
  const auto recipe = std::get<PretrainRecipe>(load_recipe("recipes/nano/needle.yaml"));
  const TrainingText text(recipe.data, recipe.max_length);
  const text::Tokenizer tokenizer = text.train_tokenizer();
  std::int64_t longest = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const EncodedDocument document = text.document(tokenizer, i);
    longest = std::max(longest, std::ssize(document.ids));
    EXPECT_EQ(document.ids.back(), *tokenizer.eos_id()) << "cut";
    std::string name;  // a stretch of learned tokens
    for (std::size_t t = 0; t + 1 < document.ids.size(); ++t) {
      if (document.learned[t]) {
        name += tokenizer.token_bytes(document.ids[t]);
      } else if (!name.empty()) {
        EXPECT_TRUE(name.size() > 3 && name[0] == ' ' && name[1] >= 'A' && name[1] <= 'Z') << name;
        EXPECT_EQ(name.find_first_of(" .,?", 1), std::string::npos) << name;
        name.clear();
      }
    }
  }
  EXPECT_LE(longest, recipe.max_length);
  EXPECT_GT(longest, recipe.max_length * 3 / 4);
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
