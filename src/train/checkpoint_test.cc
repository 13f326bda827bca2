#include "train/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "base/file.h"
#include "model/model_test_config.h"
#include "text/tokenizer_json.h"
#include "train/train_test_model.h"

namespace r1::train {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using train_test::bytes_of;

constexpr const char* kRecipe = "stage: pretrain\nseed: 1\n";

class CheckpointTest : public testing::Test {
 protected:
  // A run: what is trained and how far it is.
  struct Run {
    std::unique_ptr<Model> model, reference;
    std::optional<Optimizer> optimizer;
    Checkpoint checkpoint() { return {*model, *optimizer, reference.get()}; }
  };

  Run make(const ModelConfig& config, bool with_reference = false) {
    Run run;
    run.model = Model::initialise(backend_, config, r1::Precision::bf16, 1);
    if (with_reference) {
      run.reference = Model::initialise(backend_, config, r1::Precision::bf16, 2);
    }
    run.optimizer.emplace(*run.model, OptimizerConfig{});
    return run;
  }
  void train(Run& run, std::uint32_t steps) {
    for (std::uint32_t i = 0; i < steps; ++i) {
      const auto step = static_cast<std::uint32_t>(run.optimizer->steps());
      std::uint32_t index = 0;
      run.model->visit_weights([&](Weight& weight) {
        Rng rng(4, step, index++);
        for (float& value : weight.gradient) value = rng.normal();
        // As the router's balancing moves it.
        if (!weight.trainable) weight.value[0] += 0.001f;
      });
      run.optimizer->step(backend_, 0.01);
    }
  }
  static std::vector<float> numbers(Run& run) {
    std::vector<float> all;
    const auto append = [&](const AlignedBuffer<float>& part) {
      all.insert(all.end(), part.begin(), part.end());
    };
    run.model->visit_weights([&](Weight& weight) { append(weight.value); });
    if (run.reference) run.reference->visit_weights([&](Weight& weight) { append(weight.value); });
    for (const Optimizer::Moments& moments : run.optimizer->moments()) {
      append(moments.first);
      append(moments.second);
    }
    return all;
  }
  static bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }

  void save(Run& run, const RunState& state, std::int64_t keep = 0) {
    save_checkpoint(directory_.path(), run.checkpoint(), state, {tokenizer_, "r1-zero-nano"},
                    kRecipe, keep);
  }
  std::string complaint(Run& run, const fs::path& path, const std::string& recipe = kRecipe) {
    try {
      load_checkpoint(backend_, path, run.checkpoint(), recipe);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return error.what();
    }
    return "none";
  }
  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      names.push_back(entry.path().filename().native());
    }
    std::ranges::sort(names);
    return names;
  }

  Backend backend_{2};
  train_test::TemporaryDirectory directory_;
  ModelConfig config_ = model_test::tiny_config();
  text::Tokenizer tokenizer_ = [] {
    const auto data =
        std::get<PretrainRecipe>(parse_recipe(train_test::pretrain_recipe("unused"), "recipe"))
            .data;
    return TrainingText(data, 96).train_tokenizer();
  }();
};

TEST_F(CheckpointTest, WhatIsSavedComesBack) {
  for (const bool with_reference : {false, true}) {
    Run run = make(config_, with_reference);
    train(run, 3);
    const RunState state{
        .step = 3, .next_sample = 41, .tokens = 12345, .best_score = 0.625, .best_step = 2};
    save(run, state);
    const auto path = newest_checkpoint(directory_.path());
    ASSERT_TRUE(path);
    EXPECT_EQ(path->filename(), "checkpoint-3");

    Run other = make(config_, with_reference);
    train(other, 1);  // anything else
    EXPECT_EQ(load_checkpoint(backend_, *path, other.checkpoint(), kRecipe), state);
    EXPECT_TRUE(same_bits(numbers(other), numbers(run)));
    // And both go on alike.
    train(run, 2);
    train(other, 2);
    EXPECT_TRUE(same_bits(numbers(other), numbers(run)));
  }
}

TEST_F(CheckpointTest, IsAModelDirectoryThatAnythingLoads) {
  Run run = make(config_);
  train(run, 1);
  save(run, {.step = 1});
  const fs::path path = directory_.path() / "checkpoint-1";
  const auto loaded = Model::load(backend_, path, LoadOptions{.training = true});
  EXPECT_EQ(loaded->config(), run.model->config());
  EXPECT_EQ(text::load_tokenizer(path).vocab_size(), tokenizer_.vocab_size());
  EXPECT_THAT(bytes_of(path / "generation_config.json"), HasSubstr("r1-zero-nano"));
  EXPECT_EQ(bytes_of(path / "recipe.yaml"), kRecipe);
}

TEST_F(CheckpointTest, TheSameStateGivesTheSameBytes) {
  Run run = make(config_);
  train(run, 2);
  save(run, {.step = 1});
  save(run, {.step = 2});
  for (const char* name : {"model.safetensors", "training.safetensors", "tokenizer.json"}) {
    EXPECT_EQ(bytes_of(directory_.path() / "checkpoint-1" / name),
              bytes_of(directory_.path() / "checkpoint-2" / name))
        << name;
  }
}

TEST_F(CheckpointTest, KeepsTheNewestAndTheBest) {
  Run run = make(config_);
  EXPECT_EQ(newest_checkpoint(directory_.path()), std::nullopt);
  EXPECT_EQ(newest_checkpoint(directory_.path() / "nowhere"), std::nullopt);
  for (const std::int64_t step : {2, 4, 8, 10, 12}) {
    save(run, {.step = step, .best_step = step >= 4 ? 4 : -1}, 2);
  }
  EXPECT_THAT(entries(), ElementsAre("checkpoint-10", "checkpoint-12", "checkpoint-4"));
  EXPECT_EQ(newest_checkpoint(directory_.path())->filename(), "checkpoint-12");
  // A better one: the old best goes.
  save(run, {.step = 14, .best_step = 14}, 2);
  EXPECT_THAT(entries(), ElementsAre("checkpoint-12", "checkpoint-14"));
  save(run, {.step = 100, .best_step = 14}, 1);
  EXPECT_THAT(entries(), ElementsAre("checkpoint-100", "checkpoint-14"));
  // Zero keeps all.
  save(run, {.step = 101, .best_step = -1}, 0);
  EXPECT_THAT(entries(), ElementsAre("checkpoint-100", "checkpoint-101", "checkpoint-14"));
}

TEST_F(CheckpointTest, OtherNamesAreNotCheckpoints) {
  for (const char* name : {"checkpoint-", "checkpoint-7x", "checkpoint-best", "checkpoint", "5",
                           ".checkpoint-9.tmp-1", "checkpoint-99999999999999999999"}) {
    fs::create_directory(directory_.path() / name);
  }
  write_file_atomically(directory_.path() / "checkpoint-8", "a file");
  EXPECT_EQ(newest_checkpoint(directory_.path()), std::nullopt);
}

TEST_F(CheckpointTest, RefusesAnotherRecipeOrModel) {
  Run run = make(config_);
  save(run, {.step = 1});
  const fs::path path = directory_.path() / "checkpoint-1";
  EXPECT_THAT(complaint(run, path, "stage: pretrain\nseed: 2\n"), HasSubstr("another recipe"));

  ModelConfig other = config_;
  other.hidden_size = 32;
  Run wider = make(other);
  EXPECT_THAT(complaint(wider, path), HasSubstr("training.safetensors"));
  other = config_;
  other.num_hidden_layers = 4;
  Run deeper = make(other);
  EXPECT_THAT(complaint(deeper, path), HasSubstr("model.layers."));
  Run referred = make(config_, true);
  EXPECT_THAT(complaint(referred, path), HasSubstr("reference.safetensors"));
}

TEST_F(CheckpointTest, RefusesTornFiles) {
  Run run = make(config_);
  save(run, {.step = 1});
  const fs::path path = directory_.path() / "checkpoint-1";
  for (const char* name : {"training.safetensors", "trainer_state.json", "recipe.yaml"}) {
    const std::string bytes = bytes_of(path / name);
    for (const std::size_t length : {std::size_t{0}, bytes.size() / 2, bytes.size() - 3}) {
      write_file_atomically(path / name, bytes.substr(0, length));
      EXPECT_THAT(complaint(run, path), HasSubstr("checkpoint-1")) << name << " " << length;
    }
    fs::remove(path / name);
    EXPECT_THAT(complaint(run, path), HasSubstr(name));
    write_file_atomically(path / name, bytes);
  }
  write_file_atomically(path / "trainer_state.json", "{\"global_step\": \"three\"}");
  EXPECT_THAT(complaint(run, path), HasSubstr("trainer_state.json"));
}

// The disk fills up while checkpoint 2 is written: checkpoint 1 is whole, and one line says why.
TEST_F(CheckpointTest, AFullDiskLeavesThePreviousOne) {
  Run run = make(config_);
  train(run, 1);
  save(run, {.step = 1}, 1);
  const fs::path path = directory_.path() / "checkpoint-1";
  const std::string masters = bytes_of(path / "training.safetensors");
  // Large enough for the model's file, too small for the training state.
  const auto limit = static_cast<rlim_t>(masters.size() / 2);
  ASSERT_LT(bytes_of(path / "model.safetensors").size(), limit);
  const fs::path message = directory_.path() / "message";

  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit lower{limit, limit};
    setrlimit(RLIMIT_FSIZE, &lower);
    std::string text = "none";
    try {
      save(run, {.step = 2}, 1);
    } catch (const Error& error) {
      text = error.what();
    }
    write_file_atomically(message, text);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  const std::string text = bytes_of(message);
  EXPECT_THAT(text, HasSubstr("training.safetensors"));
  EXPECT_THAT(text, HasSubstr("File too large"));
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  EXPECT_THAT(entries(), ElementsAre("checkpoint-1", "message"));
  EXPECT_EQ(bytes_of(path / "training.safetensors"), masters);
  Run other = make(config_);
  EXPECT_EQ(load_checkpoint(backend_, path, other.checkpoint(), kRecipe), RunState{.step = 1});
  EXPECT_TRUE(same_bits(numbers(other), numbers(run)));
}

}  // namespace
}  // namespace r1::train
