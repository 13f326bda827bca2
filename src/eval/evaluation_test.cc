#include "eval/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "eval/evaluation_report.h"
#include "reasoning/ask.h"
#include "text/bpe_trainer.h"

namespace r1::eval {
namespace {

ModelConfig tiny_config(std::int64_t vocab_size) {
  ModelConfig config;
  config.vocab_size = vocab_size;
  config.hidden_size = 32;
  config.intermediate_size = 64;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.kv_lora_rank = 16;
  config.qk_nope_head_dim = 16;
  config.qk_rope_head_dim = 16;
  config.v_head_dim = 16;
  config.max_position_embeddings = 512;
  return config;
}

// A model of random weights: what it says is noise, how it is asked is not.
class EvaluationTest : public testing::Test {
 protected:
  reasoning::ReasoningModel make_model() {
    text::BpeTrainOptions options;
    options.vocab_size = 270;
    text::Tokenizer tokenizer = text::train_bpe(std::vector<std::string>{"x"}, options);
    const std::int32_t end = *tokenizer.eos_id();
    const std::int64_t vocab_size = tokenizer.vocab_size();
    auto form = text::PromptForm::r1_zero(text::TemplateKind::kR1ZeroNano, tokenizer);
    return {"noise",
            Model::initialise(backend_, tiny_config(vocab_size), Precision::f32, 3),
            std::move(tokenizer),
            std::move(form),
            reasoning::FormOrigin::kNamed,
            {end},
            {}};
  }
  static EvaluationOptions small() {
    EvaluationOptions options;
    options.tasks = {"gcd", "list"};
    options.problems = 5;
    options.samples = 3;
    options.max_tokens = 6;
    return options;
  }

  Backend backend_{2};
  reasoning::ReasoningModel model_ = make_model();
};

TEST_F(EvaluationTest, CountsEverySampleOnce) {
  std::int64_t last = 0, total = 0;
  const Evaluation result = evaluate(backend_, model_, small(), [&](auto done, auto all) {
    EXPECT_GT(done, last);
    last = done;
    total = all;
  });
  EXPECT_EQ(total, 30);
  EXPECT_EQ(last, total);
  ASSERT_EQ(result.families.size(), 2u);
  EXPECT_EQ(result.families[0].task, "gcd");
  EXPECT_EQ(result.families[0].score.problems, 5);
  EXPECT_EQ(result.overall.problems, 10);
  EXPECT_EQ(result.overall.well_formed, 0.0);
  EXPECT_GT(result.overall.truncated, 0.5);
  EXPECT_GT(result.overall.completion_tokens, 1.0);
  EXPECT_LE(result.overall.completion_tokens, 6.0);
}

TEST_F(EvaluationTest, IsTheSameTwiceAndInOtherCompany) {
  EvaluationOptions alone = small();
  alone.tasks = {"list"};
  const FamilyScore together = evaluate(backend_, model_, small()).families[1];
  const FamilyScore single = evaluate(backend_, model_, alone).families[0];
  EXPECT_EQ(together.task, single.task);
  EXPECT_EQ(together.score.completion_tokens, single.score.completion_tokens);
  EXPECT_EQ(together.score.thinking_tokens, single.score.thinking_tokens);
  EvaluationOptions other = alone;
  other.sampling.seed = 1;
  other.max_tokens = 0;
  alone.max_tokens = 0;
  EXPECT_NE(evaluate(backend_, model_, alone).tokens, evaluate(backend_, model_, other).tokens);
}

TEST_F(EvaluationTest, JsonHoldsTheNumbers) {
  const EvaluationOptions options = small();
  const Evaluation result = evaluate(backend_, model_, options);
  const nlohmann::json document = nlohmann::json::parse(to_json(result, options, model_));
  EXPECT_EQ(document["tasks"]["gcd"]["samples"], 15);
  EXPECT_EQ(document["overall"]["pass_at_1"], result.overall.pass_at_1.value);
  EXPECT_EQ(document["tokens"], result.tokens);
  EXPECT_THAT(to_table(result, options), testing::HasSubstr("\noverall "));
}

TEST_F(EvaluationTest, AnUnknownTaskIsAnError) {
  EvaluationOptions options = small();
  options.tasks = {"gdc"};
  EXPECT_THROW(evaluate(backend_, model_, options), Error);
}

TEST_F(EvaluationTest, AskStopsAtLimitsAndWhenCancelled) {
  Engine engine(backend_, *model_.model);
  reasoning::AskOptions options;
  options.max_tokens = 4;
  std::string shown;
  const auto show = [&](const text::SectionEvent& event) { shown += event.text; };
  const reasoning::Answer cut =
      reasoning::ask(engine, model_, reasoning::question("1 + 1"), options, show);
  EXPECT_EQ(cut.tokens.size(), 4u);
  EXPECT_EQ(cut.finish, FinishReason::length);
  EXPECT_NE(shown, "");

  options.max_tokens = 0;
  int tokens = 0;
  const reasoning::Answer cancelled = reasoning::ask(engine, model_, reasoning::question("1 + 1"),
                                                     options, {}, [&] { return ++tokens == 3; });
  EXPECT_EQ(cancelled.finish, FinishReason::cancelled);
  EXPECT_EQ(cancelled.tokens.size(), 2u);
  // The engine is left fit for the next question.
  options.max_tokens = 4;
  EXPECT_EQ(reasoning::ask(engine, model_, reasoning::question("1 + 1"), options).text, cut.text);
  EXPECT_THROW(reasoning::ask(engine, model_, reasoning::question(std::string(1000, '1')), options),
               Error);
  EXPECT_EQ(reasoning::ask(engine, model_, reasoning::question("1 + 1"), options).text, cut.text);
}

TEST(HeldOutProblems, AreDifferentHeldOutAndAPrefixOfMore) {
  const tasks::Task& task = tasks::find_task("gcd");
  const std::vector<tasks::Problem> few = held_out_problems(task, 50, 7, {});
  const std::vector<tasks::Problem> many = held_out_problems(task, 100, 7, {});
  ASSERT_EQ(few.size(), 50u);
  std::set<std::uint64_t> ids;
  for (const tasks::Problem& problem : many) {
    EXPECT_TRUE(task.is_held_out(problem.parameters));
    ids.insert(problem.id);
  }
  EXPECT_EQ(ids.size(), many.size());
  for (std::size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i].question, many[i].question);
}

TEST_F(EvaluationTest, AChatModelIsToldToMarkItsAnswer) {
  EXPECT_EQ(model_.pose("1 + 1").front().content, "1 + 1");
  reasoning::ReasoningModel chat = make_model();
  chat.form = text::PromptForm::chat(
      "{% for m in messages %}{{ m.content }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<think>\\n' }}{% endif %}",
      "t", "chat template", chat.tokenizer);
  EXPECT_THAT(chat.pose("1 + 1").front().content, testing::HasSubstr("<answer>"));
  EXPECT_EQ(chat.graded_text("a</think>b", text::SectionKind::kThinking), "<think>a</think>b");
  EXPECT_EQ(chat.graded_text("b", text::SectionKind::kOther), "b");
  EXPECT_EQ(evaluate(backend_, chat, small()).overall.problems, 10);
  Engine engine(backend_, *chat.model);
  reasoning::AskOptions options;
  options.max_tokens = 4;
  EXPECT_EQ(reasoning::ask(engine, chat, reasoning::question("1"), options).starts_in,
            text::SectionKind::kThinking);
}

}  // namespace
}  // namespace r1::eval
