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
  EXPECT_EQ(left.size(), right.size());
  for (const char* name : {"model/model.safetensors", "metrics.jsonl"}) {
    EXPECT_TRUE(right.contains(name)) << name;
  }
}

// Kills the run over and over, each time after a random while that lets a step or two happen, and
// lets it end at last. `duration` is what an undisturbed run takes.
void run_killed(const std::string& recipe, const fs::path& run, double duration) {
  Rng rng(static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()));
  int killed = 0, resumed = 0;
  for (int attempt = 0; attempt < 6; ++attempt) {
    resumed += last_checkpoint(run) > 0 ? 1 : 0;
    const std::int64_t before = last_checkpoint(run);
    const pid_t child = start(recipe, true);
    // Every other time at any instant; else within a step of a new checkpoint, so that the run
    // gets on.
    if (attempt % 2 == 1) {
      const auto deadline = Clock::now() + std::chrono::duration<double>(10.0 * duration);
      while (last_checkpoint(run) == before && Clock::now() < deadline &&
             waitpid(child, nullptr, WNOHANG | WNOWAIT) == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    const double whole = attempt % 2 == 1 ? duration / 6.0 : duration;
    std::this_thread::sleep_for(
        std::chrono::duration<double>(whole * static_cast<double>(rng.uniform())));
    kill(child, SIGKILL);
    const int status = wait_for(child);
    killed += WIFSIGNALED(status) ? 1 : 0;
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
  }
  EXPECT_GT(killed, 0);
  EXPECT_GT(resumed, 0);
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
