#include "eval/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "eval/ask.h"
#include "eval/evaluation_report.h"
#include "formats/gguf.h"
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
  ReasoningModel make_model() {
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
            FormOrigin::kNamed,
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
  ReasoningModel model_ = make_model();
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
  AskOptions options;
  options.max_tokens = 4;
  std::string shown;
  const auto show = [&](const text::SectionEvent& event) { shown += event.text; };
  const Answer cut = ask(engine, model_, question("1 + 1"), options, show);
  EXPECT_EQ(cut.tokens.size(), 4u);
  EXPECT_EQ(cut.finish, FinishReason::length);
  EXPECT_NE(shown, "");

  options.max_tokens = 0;
  int tokens = 0;
  const Answer cancelled =
      ask(engine, model_, question("1 + 1"), options, {}, [&] { return ++tokens == 3; });
  EXPECT_EQ(cancelled.finish, FinishReason::cancelled);
  EXPECT_EQ(cancelled.tokens.size(), 2u);
  // The engine is left fit for the next question.
  options.max_tokens = 4;
  EXPECT_EQ(ask(engine, model_, question("1 + 1"), options).text, cut.text);
  EXPECT_THROW(ask(engine, model_, question(std::string(1000, '1')), options), Error);
  EXPECT_EQ(ask(engine, model_, question("1 + 1"), options).text, cut.text);
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

TEST(GenerationConfig, ReadsWhatIsThere) {
  const GenerationConfig empty = parse_generation_config("{}", "g");
  EXPECT_EQ(empty.r1_zero_form, std::nullopt);
  EXPECT_FALSE(empty.recommends_sampling());
  EXPECT_TRUE(empty.end_ids.empty());
  const GenerationConfig full = parse_generation_config(
      R"({"r1_prompt_template": "r1-zero", "eos_token_id": [1, 5], "temperature": 0.6})", "g");
  EXPECT_EQ(full.r1_zero_form, text::TemplateKind::kR1Zero);
  EXPECT_EQ(full.end_ids, (std::vector<std::int32_t>{1, 5}));
  EXPECT_EQ(full.temperature, 0.6f);
  EXPECT_EQ(parse_generation_config(R"({"eos_token_id": 2, "do_sample": false})", "g").temperature,
            0.0f);
}

TEST(GenerationConfig, RefusesWhatHasNoMeaning) {
  for (const char* json :
       {R"({"r1_prompt_template": "other"})", R"({"eos_token_id": "end"})",
        R"({"temperature": -1})", R"({"top_p": 0})", R"({"top_k": -1})", "[]", "{"}) {
    EXPECT_THROW(parse_generation_config(json, "g"), Error) << json;
  }
}

TEST(GenerationConfig, ComesBackFromBothKindsOfFile) {
  const GenerationConfig config = parse_generation_config(
      R"({"r1_prompt_template": "r1-zero", "eos_token_id": [7, 1, 5], "temperature": 0.6,
          "top_p": 0.95, "top_k": 20})",
      "g");
  const GenerationConfig json = parse_generation_config(write_generation_config(config), "g");
  EXPECT_THAT(write_generation_config(config), testing::HasSubstr("0.95"));

  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "use.gguf";
  GgufMetadataBuilder metadata;
  metadata.set("tokenizer.ggml.eos_token_id", std::uint32_t{7});  // the tokenizer's part
  describe(config, 7, metadata);
  GgufWriter(path, metadata, {}).commit();
  const GenerationConfig gguf = generation_config_of(GgufFile::open(path).metadata(), "g");
  std::filesystem::remove(path);
  for (const GenerationConfig& copy : {json, gguf}) {
    EXPECT_EQ(copy.r1_zero_form, text::TemplateKind::kR1Zero);
    EXPECT_EQ(copy.end_ids, config.end_ids);
    EXPECT_EQ(copy.temperature, 0.6f);
    EXPECT_EQ(copy.top_p, 0.95f);
    EXPECT_EQ(copy.top_k, 20);
  }
  GgufMetadataBuilder alone;  // of a tokenizer that names no end
  describe(config, std::nullopt, alone);
  EXPECT_TRUE(alone.has("tokenizer.ggml.eos_token_id"));
  const GenerationConfig greedy = parse_generation_config(R"({"do_sample": false})", "g");
  EXPECT_EQ(parse_generation_config(write_generation_config(greedy), "g").temperature, 0.0f);
  EXPECT_EQ(write_generation_config({}), "{}\n");
}

TEST_F(EvaluationTest, AChatModelIsToldToMarkItsAnswer) {
  EXPECT_EQ(model_.pose("1 + 1").front().content, "1 + 1");
  ReasoningModel chat = make_model();
  chat.form = text::PromptForm::chat(
      "{% for m in messages %}{{ m.content }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<think>\\n' }}{% endif %}",
      "t", "chat template", chat.tokenizer);
  EXPECT_THAT(chat.pose("1 + 1").front().content, testing::HasSubstr("<answer>"));
  EXPECT_EQ(chat.graded_text("a</think>b", text::SectionKind::kThinking), "<think>a</think>b");
  EXPECT_EQ(chat.graded_text("b", text::SectionKind::kOther), "b");
  EXPECT_EQ(evaluate(backend_, chat, small()).overall.problems, 10);
  Engine engine(backend_, *chat.model);
  AskOptions options;
  options.max_tokens = 4;
  EXPECT_EQ(ask(engine, chat, question("1"), options).starts_in, text::SectionKind::kThinking);
}

}  // namespace
}  // namespace r1::eval
