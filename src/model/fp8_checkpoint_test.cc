// Checkpoints in FP8 as DeepSeek-V3's are: codes, and a tensor of scales beside each matrix.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "formats/safetensors.h"
#include "model/model.h"
#include "model/model_test_config.h"
#include "quant/fp8_blocks.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Odd extents, larger and smaller than a block.
ModelConfig odd_config() {
  ModelConfig config = model_test::tiny_config();
  config.hidden_size = 150;
  config.intermediate_size = 260;
  config.moe_intermediate_size = 33;
  config.torch_dtype = "bfloat16";
  return config;
}

bool is_fp8(const std::string& name, const Shape& shape) {
  return shape.rank() == 2 && name.starts_with("model.layers.") &&
         name.find(".mlp.gate.") == name.npos;
}

// A matrix in FP8, its scales as large as they must be, or the next power of two (DeepSeek-V3.1).
struct Fp8Weight {
  std::vector<std::byte> codes;
  std::vector<float> scales;

  Fp8Weight(const Weight& weight, bool powers_of_two) : codes(weight.value.size()) {
    const std::int64_t n = weight.shape[0], k = weight.shape[1];
    scales.resize(static_cast<std::size_t>(fp8_blocks_of(n) * fp8_blocks_of(k)));
    const auto scale_at = [&](std::size_t i) -> float& {
      const auto at = static_cast<std::int64_t>(i);
      return scales[static_cast<std::size_t>(at / k / kFp8Block * fp8_blocks_of(k) +
                                             at % k / kFp8Block)];
    };
    for (std::size_t i = 0; i < codes.size(); ++i) {
      scale_at(i) = std::max(scale_at(i), std::abs(weight.value[i]) / 448.0f);
    }
    for (float& scale : scales) {
      if (powers_of_two) scale = std::exp2(std::ceil(std::log2(scale)));
    }
    for (std::size_t i = 0; i < codes.size(); ++i) {
      codes[i] = static_cast<std::byte>(round_to_f8_e4m3(weight.value[i] / scale_at(i)).bits);
    }
  }
};

class Fp8CheckpointTest : public testing::TestWithParam<bool> {
 protected:
  Fp8CheckpointTest() : directory_(fs::path(testing::TempDir()) / "fp8_checkpoint") {
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }
  ~Fp8CheckpointTest() override { fs::remove_all(directory_); }

  // Replaces the matrices of the model by what FP8 makes of them, and writes the checkpoint.
  void write(Model& model, bool powers_of_two) {
    write_file_atomically(directory_ / "config.json", write_config(model.config()));
    std::vector<TensorSpec> specs;
    std::vector<std::vector<std::byte>> contents;
    const auto add = [&](std::string name, DType dtype, std::vector<std::int64_t> shape,
                         std::span<const std::byte> bytes) {
      specs.push_back({std::move(name), dtype, std::move(shape)});
      contents.emplace_back(bytes.begin(), bytes.end());
    };
    model.visit_weights([&](Weight& weight) {
      std::vector<std::int64_t> shape;
      for (int axis = 0; axis < weight.shape.rank(); ++axis) shape.push_back(weight.shape[axis]);
      if (!is_fp8(weight.name, weight.shape)) {
        add(weight.name, DType::f32, shape, std::as_bytes(weight.value.span()));
        return;
      }
      const Fp8Weight fp8(weight, powers_of_two);
      decode_fp8({shape[0], shape[1], fp8.codes, fp8.scales}, 0, weight.value.span());
      add(weight.name, DType::f8_e4m3, shape, fp8.codes);
      add(weight.name + "_scale_inv", DType::f32,
          {fp8_blocks_of(shape[0]), fp8_blocks_of(shape[1])}, std::as_bytes(std::span(fp8.scales)));
    });
    SafetensorsWriter writer(directory_ / "model.safetensors", specs, {{"format", "pt"}});
    for (std::size_t i = 0; i < specs.size(); ++i) writer.append(specs[i].name, contents[i]);
    writer.commit();
  }

  std::vector<float> logits(Model& model, std::span<const std::int32_t> ids) {
    Arena arena;
    const ForwardContext ctx{backend_, arena, model.precision(), nullptr};
    Batch batch;
    batch.append(ids);
    const Tensor out = linear(ctx, model.forward(ctx, batch), model.head());
    return {out.data, out.data + out.shape.count()};
  }

  Backend backend_{2};
  fs::path directory_;
};

INSTANTIATE_TEST_SUITE_P(Scales, Fp8CheckpointTest, testing::Bool(),
                         [](const auto& scales) { return scales.param ? "PowersOfTwo" : "Any"; });

TEST_P(Fp8CheckpointTest, IsTheModelOfTheDecodedWeightsToTheBit) {
  const ModelConfig config = odd_config();
  const auto decoded = Model::initialise(backend_, config, Precision::bf16, 1);
  write(*decoded, GetParam());
  decoded->refresh(backend_);
  const auto loaded = Model::load(backend_, directory_, LoadOptions{});
  const auto as_numbers = Model::load(backend_, directory_, Precision::bf16, /*training=*/true);
  ASSERT_NE(loaded->expert_memory(), nullptr);  // its rows are packed as they are
  for (const std::int64_t count : {1, 5, 40}) {
    const auto ids = model_test::random_tokens(config, 2, count);
    const std::vector<float> wanted = logits(*decoded, ids);
    for (Model* model : {loaded.get(), as_numbers.get()}) {
      const std::vector<float> found = logits(*model, ids);
      ASSERT_EQ(found.size(), wanted.size());
      EXPECT_EQ(std::memcmp(found.data(), wanted.data(), found.size() * sizeof(float)), 0);
    }
  }
}

TEST_P(Fp8CheckpointTest, ExpertsComeFromTheFileAsTheyAreNeeded) {
  const ModelConfig config = odd_config();
  const auto decoded = Model::initialise(backend_, config, Precision::bf16, 3);
  write(*decoded, GetParam());
  const auto whole = Model::load(backend_, directory_, LoadOptions{});
  const std::int64_t all = whole->expert_memory()->bytes();
  std::unique_ptr<Model> tight;
  for (std::int64_t budget = all; tight == nullptr; budget += all / 8) {
    try {
      tight = Model::load(backend_, directory_, {.memory = budget});
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("the budget leaves room"));
    }
  }
  ASSERT_LT(tight->expert_memory()->slots(), whole->expert_memory()->slots());
  const auto ids = model_test::random_tokens(config, 4, 30);
  EXPECT_EQ(logits(*tight, ids), logits(*whole, ids));
}

TEST_P(Fp8CheckpointTest, ScalesThatDoNotFitAreNamed) {
  const auto model = Model::initialise(backend_, odd_config(), Precision::bf16, 5);
  write(*model, GetParam());
  const SafetensorsFile file = SafetensorsFile::open(directory_ / "model.safetensors");
  std::vector<TensorInfo> tensors(file.tensors().begin(), file.tensors().end());
  const auto scale =
      std::ranges::find(tensors, "model.layers.0.mlp.up_proj.weight_scale_inv", &TensorInfo::name);
  ASSERT_NE(scale, tensors.end());
  scale->shape = {static_cast<std::int64_t>(scale->elements()), 1};
  save_safetensors(directory_ / "model.safetensors", tensors);
  try {
    Model::load(backend_, directory_, LoadOptions{});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("up_proj.weight: [260, 150] does not fit its scales"));
  }
}

}  // namespace
}  // namespace r1
