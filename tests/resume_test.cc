// A run that is killed at any instants and resumed ends with the same bytes as one that never was.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <map>
#include <thread>

#include "train/checkpoint.h"
#include "train/grpo.h"
#include "train/pretrain.h"
#include "train/train_test_model.h"

namespace r1::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using train_test::bytes_of;

// A process that runs the recipe, silently; it ends with 0 or, after an Error, with 1.
pid_t start(const std::string& recipe, bool resume) {
  const pid_t child = fork();
  R1_CHECK(child >= 0, "fork");
  if (child > 0) return child;
  const int nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, STDOUT_FILENO);
  dup2(nowhere, STDERR_FILENO);
  try {
    const Recipe parsed = parse_recipe(recipe, "recipe");
    if (const auto* pretrain = std::get_if<PretrainRecipe>(&parsed)) {
      run_pretrain(*pretrain, {.resume = resume});
    } else {
      run_grpo(std::get<GrpoRecipe>(parsed), {.resume = resume});
    }
  } catch (const Error&) {
    _exit(1);
  }
  _exit(0);
}

int wait_for(pid_t child) {
  int status = 0;
  R1_CHECK(waitpid(child, &status, 0) == child, "{}", child);
  return status;
}

void run_to_the_end(const std::string& recipe, bool resume) {
  const int status = wait_for(start(recipe, resume));
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  ASSERT_EQ(WEXITSTATUS(status), 0);
}

std::int64_t last_checkpoint(const fs::path& run) {
  const auto path = newest_checkpoint(run);
  return path ? std::stoll(path->filename().native().substr(std::strlen("checkpoint-"))) : 0;
}

// What no clock has touched, by its name in the run.
std::map<std::string, std::string> results(const fs::path& run) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().lexically_relative(run).native();
    // timing.jsonl and the TensorBoard events hold wall-clock times; recipes name their directory.
    if (name == "timing.jsonl" || name.starts_with("events.") || name.ends_with("recipe.yaml")) {
      continue;
    }
    files[name] = bytes_of(entry.path());
  }
  return files;
}

void expect_same_results(const fs::path& found, const fs::path& wanted) {
  const auto left = results(found), right = results(wanted);
  for (const auto& [name, bytes] : right) {
    ASSERT_TRUE(left.contains(name)) << name;
    EXPECT_TRUE(left.at(name) == bytes) << name << " differs";
  }
  for (const auto& [name, bytes] : left)
    EXPECT_TRUE(right.contains(name)) << name << " is left over";
  for (const char* name : {"model/model.safetensors", "metrics.jsonl"}) {
    EXPECT_TRUE(right.contains(name)) << name;
  }
}

// Whether the process ended by itself. It stays to be waited for.
bool has_ended(pid_t child) {
  siginfo_t info{};
  R1_CHECK(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0, "{}",
           child);
  return info.si_pid == child;
}

// Kills the run over and over, and lets it end at last. Every other kill comes at any instant of
// `duration`, what an undisturbed run takes; the others soon after a new checkpoint, so that the
// run gets on. A run that ends before enough kills shows nothing and begins anew: how fast the
// machine happens to be decides how often we try, not what is shown.
void run_killed(const std::string& recipe, const fs::path& run, double duration) {
  constexpr int kMostKills = 6, kLeastKills = 3, kLeastKillsOfResumed = 1, kAttempts = 60;
  Rng rng(static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()));
  int kills = 0, kills_of_resumed = 0;
  for (int attempt = 0; kills < kMostKills; ++attempt) {
    ASSERT_LT(attempt, kAttempts) << kills << " kills, " << kills_of_resumed << " of resumed runs";
    const std::int64_t before = last_checkpoint(run);
    const pid_t child = start(recipe, true);
    double whole = duration;
    if (attempt % 2 == 1) {
      while (last_checkpoint(run) == before && !has_ended(child)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      whole = duration / 12.0;
    }
    std::this_thread::sleep_for(
        std::chrono::duration<double>(whole * static_cast<double>(rng.uniform())));
    kill(child, SIGKILL);
    const int status = wait_for(child);
    if (WIFSIGNALED(status)) {
      ++kills;
      kills_of_resumed += before > 0 ? 1 : 0;
      continue;
    }
    ASSERT_EQ(WEXITSTATUS(status), 0);
    if (kills >= kLeastKills && kills_of_resumed >= kLeastKillsOfResumed) break;
    fs::remove_all(run);
    kills = kills_of_resumed = 0;
  }
  run_to_the_end(recipe, true);
  // Once more, when there is nothing left to do.
  run_to_the_end(recipe, true);
}

class ResumeTest : public testing::Test {
 protected:
  fs::path path(const char* name) const { return directory_.path() / name; }
  double timed(const std::string& recipe) {
    const Clock::time_point start = Clock::now();
    run_to_the_end(recipe, false);
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  train_test::TemporaryDirectory directory_;
};

TEST_F(ResumeTest, KilledAndResumedEndsWithTheSameBytes) {
  const double base = timed(train_test::pretrain_recipe(path("base")));
  run_killed(train_test::pretrain_recipe(path("base-killed")), path("base-killed"), base);
  expect_same_results(path("base-killed"), path("base"));

  const auto grpo = [&](const char* name) {
    return train_test::grpo_recipe(path(name), path("base") / "model",
                                   path("base") / "checkpoint-10");
  };
  const double zero = timed(grpo("zero"));
  EXPECT_NE(bytes_of(path("zero") / "model" / "model.safetensors"),
            bytes_of(path("base") / "model" / "model.safetensors"))
      << "nothing was learned: the comparison would be empty";
  run_killed(grpo("zero-killed"), path("zero-killed"), zero);
  expect_same_results(path("zero-killed"), path("zero"));
}

// A model that is gone on with, its positions scaled, on documents that are learned in parts.
TEST_F(ResumeTest, AnExtendedModelGoesOnToTheSameBytes) {
  run_to_the_end(train_test::pretrain_recipe(path("base")), false);
  const auto longer = [&](const char* name) {
    return fmt::format(R"(
stage: pretrain
output_dir: {}
model: {}
rope_scaling: {{factor: 4, original_max_position_embeddings: 384}}
data: {{corpus: needle, needle: {{min_length: 300}}}}
max_length: 1000
tokens_per_batch: 1000
micro_batch_tokens: 1000
max_steps: 4
save_steps: 2
threads: 2
)",
                       path(name).native(), (path("base") / "model").native());
  };
  run_to_the_end(longer("whole"), false);
  const ModelConfig config = parse_config(bytes_of(path("whole") / "model/config.json"), "config");
  EXPECT_EQ(config.max_position_embeddings, 4 * 384);
  EXPECT_EQ(std::get<YarnScaling>(config.rope_scaling).factor, 4.0);
  EXPECT_EQ(bytes_of(path("whole") / "model/tokenizer.json"),
            bytes_of(path("base") / "model/tokenizer.json"));
  EXPECT_NE(bytes_of(path("whole") / "model/model.safetensors"),
            bytes_of(path("base") / "model/model.safetensors"));

  run_to_the_end(longer("cut"), false);
  fs::remove_all(path("cut") / "model");
  fs::remove_all(path("cut") / "checkpoint-4");
  run_to_the_end(longer("cut"), true);
  expect_same_results(path("cut"), path("whole"));
}

TEST_F(ResumeTest, ALongerDocumentThanTheContextIsAnError) {
  run_to_the_end(train_test::pretrain_recipe(path("base")), false);
  const std::string recipe =
      fmt::format("stage: pretrain\noutput_dir: {}\nmodel: {}\nmax_length: 385\n",
                  path("long").native(), (path("base") / "model").native());
  EXPECT_EQ(WEXITSTATUS(wait_for(start(recipe, false))), 1);
  EXPECT_FALSE(fs::exists(path("long")));
}

TEST_F(ResumeTest, ARunIsNotOverwritten) {
  const std::string recipe = train_test::pretrain_recipe(path("base"));
  run_to_the_end(recipe, false);
  const auto before = results(path("base"));
  EXPECT_EQ(WEXITSTATUS(wait_for(start(recipe, false))), 1);
  EXPECT_EQ(WEXITSTATUS(wait_for(start(recipe + "weight_decay: 0.2\n", true))), 1);
  EXPECT_TRUE(results(path("base")) == before);
}

}  // namespace
}  // namespace r1::train
