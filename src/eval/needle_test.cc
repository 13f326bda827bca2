#include "eval/needle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/bpe_trainer.h"

namespace r1::eval {
namespace {

using testing::HasSubstr;

ModelConfig tiny_config(std::int64_t vocab_size) {
  ModelConfig config;
  config.vocab_size = vocab_size;
  config.hidden_size = 16;
  config.intermediate_size = 16;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 1;
  config.kv_lora_rank = 16;
  config.qk_nope_head_dim = 16;
  config.qk_rope_head_dim = 16;
  config.v_head_dim = 16;
  config.max_position_embeddings = 4096;
  return config;
}

// A model of random weights whose tokens are bytes: it finds nothing, but is asked as any other.
class NeedleEvaluationTest : public testing::Test {
 protected:
  reasoning::ReasoningModel make_model() {
    text::BpeTrainOptions options;
    options.vocab_size = 270;
    text::Tokenizer tokenizer = text::train_bpe(std::vector<std::string>{"x"}, options);
    const std::int64_t vocab_size = tokenizer.vocab_size();
    text::PromptForm form = text::PromptForm::plain(tokenizer);
    return {"noise",
            Model::initialise(backend_, tiny_config(vocab_size), Precision::bf16, 3),
            std::move(tokenizer),
            std::move(form),
            reasoning::FormOrigin::kUnknown,
            {},
            {}};
  }
  static NeedleOptions small() {
    NeedleOptions options;
    options.lengths = {512, 1024};
    options.depths = {0.0, 1.0};
    options.samples = 3;
    options.max_tokens = 5;
    return options;
  }

  Backend backend_{2};
  reasoning::ReasoningModel model_ = make_model();
};

TEST_F(NeedleEvaluationTest, AsksForEveryFactOnce) {
  std::int64_t last = 0, all = 0;
  const NeedleEvaluation result =
      evaluate_needles(backend_, model_, small(), [&](std::int64_t done, std::int64_t total) {
        EXPECT_EQ(done, ++last);
        all = total;
      });
  EXPECT_EQ(last, 12);
  EXPECT_EQ(all, 12);
  ASSERT_EQ(result.cells.size(), 4u);
  for (std::size_t l = 0; l < 2; ++l) {
    for (std::size_t d = 0; d < 2; ++d) {
      const NeedleCell& cell = result.cell(l, d);
      EXPECT_EQ(cell.length, small().lengths[l]);
      EXPECT_EQ(cell.depth, small().depths[d]);
      EXPECT_EQ(cell.asked, 3);
      EXPECT_LE(cell.found, cell.asked);
    }
  }
}

TEST_F(NeedleEvaluationTest, ReportsHoldTheNumbers) {
  NeedleEvaluation result = evaluate_needles(backend_, model_, small());
  result.cells[1].found = 2;
  result.cells[1].asked = 3;
  const nlohmann::json document = nlohmann::json::parse(to_json(result, small(), model_));
  EXPECT_EQ(document["cells"][1]["found"], 2);
  EXPECT_EQ(document["cells"][1]["depth"], 1.0);
  EXPECT_EQ(document["cells"][1]["length"], 512);
  EXPECT_EQ(document["lengths"], (std::vector<std::int64_t>{512, 1024}));
  EXPECT_THAT(to_table(result, small()), HasSubstr("   66.7"));
  const std::string svg = to_svg(result);
  EXPECT_THAT(svg, HasSubstr(">67</text>"));
  EXPECT_THAT(svg, HasSubstr(">1K</text>"));
}

TEST_F(NeedleEvaluationTest, WhatCannotBeAskedIsAnError) {
  const auto error = [&](const auto& change) {
    NeedleOptions options = small();
    change(options);
    try {
      evaluate_needles(backend_, model_, options);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("(none)");
  };
  EXPECT_THAT(error([](NeedleOptions& o) {
                o.lengths = {512, 4097};
              }),
              HasSubstr("4097 is not from 256 to the model's context of 4096"));
  EXPECT_THAT(error([](NeedleOptions& o) { o.lengths = {100}; }), HasSubstr("100 is not from"));
  EXPECT_THAT(error([](NeedleOptions& o) { o.max_tokens = 500; }), HasSubstr("no room"));
}

}  // namespace
}  // namespace r1::eval
