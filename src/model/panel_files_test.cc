// Files of panels against the ordinary files that they are made of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/file.h"
#include "model/gguf_export.h"
#include "model/gguf_tokenizer.h"
#include "model/model.h"
#include "model/model_test_config.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;

// Rows long enough for the K formats, and numbers of them that are no whole panels.
ModelConfig experts_config() {
  ModelConfig config = model_test::tiny_config();
  config.vocab_size = 4200;
  config.hidden_size = 256;
  config.intermediate_size = 512;
  config.moe_intermediate_size = 256;
  config.q_lora_rank = 256;
  config.kv_lora_rank = 256;
  config.v_head_dim = 128;
  config.torch_dtype = "bfloat16";
  return config;
}

ModelConfig dense_config(const std::string& model_type, bool tied) {
  ModelConfig config;
  config.model_type = model_type;
  config.vocab_size = 4200;
  config.hidden_size = 256;
  config.intermediate_size = 512;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 52;  // a head is no whole panel; the output projection falls back
  config.attention_bias = model_type == "qwen2";
  config.tie_word_embeddings = tied;
  config.max_position_embeddings = 256;
  config.initializer_range = 0.1;
  config.torch_dtype = "bfloat16";
  return config;
}

std::string content(const fs::path& path) { return read_text_file(path, std::size_t{1} << 30); }

class PanelFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const WeightSource& source, const char* type,
                 bool panels) {
    fs::path path = folder_ / (name + ".gguf");
    write_gguf(path, source, load_model_tokenizer("models/r1-zero-nano"),
               {.name = "x", .recipe = parse_gguf_recipe(type), .panels = panels, .threads = 2});
    return path;
  }
  // A checkpoint, in which no two matrices are alike, as a GGUF file of that type.
  fs::path plain(const ModelConfig& config, const char* type) {
    const fs::path checkpoint = folder_ / "checkpoint";
    fs::remove_all(checkpoint);
    fs::create_directories(checkpoint);
    Model::initialise(backend_, config, Precision::bf16, 3)->save(checkpoint);
    return write("plain", *WeightSource::open(checkpoint), type, false);
  }

  std::vector<float> logits(const fs::path& path, const LoadOptions& options) {
    const auto model = Model::load(backend_, path, options);
    return logits(*model);
  }
  std::vector<float> logits(Model& model) {
    const auto ids = model_test::random_tokens(model.config(), 1, 40);
    Arena arena;
    const ForwardContext ctx{backend_, arena, model.precision(), nullptr};
    Batch batch;
    batch.append(ids);
    const Tensor out = linear(ctx, model.forward(ctx, batch), model.head());
    return {out.data, out.data + out.shape.count()};
  }

  Backend backend_{2};
  fs::path folder_;
};

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

TEST_F(PanelFilesTest, GiveTheBitsOfTheOrdinaryFileAndTurnBackIntoIt) {
  const std::vector<std::pair<ModelConfig, std::vector<const char*>>> cases = {
      {dense_config("qwen2", false), {"bf16", "q8_0", "q4_0", "q5_k"}},
      {dense_config("qwen2", true), {"q4_k_m"}},
      {dense_config("llama", false), {"q6_k"}},
      {experts_config(), {"q4_k_m"}}};
  for (const auto& [config, types] : cases) {
    for (const char* type : types) {
      SCOPED_TRACE(fmt::format("{} {} {}", config.model_type, type, config.tie_word_embeddings));
      const fs::path ordinary = plain(config, type);
      const fs::path panels = write("panels", *WeightSource::open(ordinary), "keep", true);
      std::int64_t in_panels = 0;
      for (const auto& [name, values] : WeightSource::open(panels)->contents().values) {
        if (name.ends_with("in panels")) in_panels += values;
      }
      EXPECT_GT(in_panels, config.n_routed_experts > 0 ? 3'000'000 : 1'000'000);
      for (const auto product : {QuantizedProduct::int8, QuantizedProduct::bf16}) {
        EXPECT_TRUE(same_bits(logits(ordinary, {.quantized = product}),
                              logits(panels, {.quantized = product})));
      }
      const fs::path back = write("back", *WeightSource::open(panels), "keep", false);
      EXPECT_TRUE(content(back) == content(ordinary));
      // Straight from the checkpoint, and from panels to panels.
      const fs::path direct =
          write("direct", *WeightSource::open(folder_ / "checkpoint"), type, true);
      const fs::path again = write("again", *WeightSource::open(panels), "keep", true);
      EXPECT_TRUE(content(direct) == content(panels));
      EXPECT_TRUE(content(again) == content(panels));
    }
  }
}

TEST_F(PanelFilesTest, AreReadAsNumbersToo) {
  const fs::path ordinary = plain(dense_config("llama", false), "q8_0");
  const auto panels =
      WeightSource::open(write("panels", *WeightSource::open(ordinary), "keep", true));
  const auto source = WeightSource::open(ordinary);
  Model model(source->config(), Precision::bf16);
  model.visit_weights([&](const Weight& weight) {
    const AlignedBuffer<float> wanted = source->read(weight.name, weight.shape);
    const AlignedBuffer<float> found = panels->read(weight.name, weight.shape);
    EXPECT_TRUE(same_bits(wanted.span(), found.span())) << weight.name;
  });
}

// A budget bounds the experts whose pages are in the process; they are never copied.
TEST_F(PanelFilesTest, ExpertsWithinABudgetStayInTheFile) {
  const fs::path ordinary = plain(experts_config(), "q4_k_m");
  const fs::path panels = write("panels", *WeightSource::open(ordinary), "keep", true);
  const std::vector<float> wanted = logits(ordinary, {});
  EXPECT_EQ(Model::load(backend_, panels, LoadOptions{})->expert_memory(), nullptr);
  std::unique_ptr<Model> tight;
  for (std::int64_t budget = 1 << 20; tight == nullptr; budget += 1 << 16) {
    try {
      tight = Model::load(backend_, panels, {.memory = budget});
    } catch (const Error&) {
    }
  }
  ASSERT_NE(tight->expert_memory(), nullptr);
  EXPECT_EQ(tight->expert_memory()->slots(), 8);
  for (int pass = 0; pass < 3; ++pass) EXPECT_TRUE(same_bits(logits(*tight), wanted));
  EXPECT_GT(tight->expert_memory()->stats().packed, 3 * 8);
}

TEST_F(PanelFilesTest, TruncatedAnywhereTheyAreRefused) {
  const fs::path panels = write(
      "panels", *WeightSource::open(plain(dense_config("qwen2", true), "q4_k_m")), "keep", true);
  const std::string whole = content(panels);
  const fs::path cut = folder_ / "cut.gguf";
  for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 50) {
    std::ofstream(cut, std::ios::binary | std::ios::trunc)
        .write(whole.data(), std::ssize(whole) - 1 - static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(WeightSource::open(cut), Error) << size;
  }
}

}  // namespace
}  // namespace r1
