#include "train/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <bit>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/progress_text.h"

namespace r1::train {
namespace {

using ::testing::HasSubstr;

class Metrics : public ::testing::Test {
 protected:
  Metrics() : run_(std::filesystem::path(::testing::TempDir()) / "r1_metrics_test") {
    std::filesystem::remove_all(run_.root());
  }
  ~Metrics() override { std::filesystem::remove_all(run_.root()); }

  static std::string content(const std::filesystem::path& path) {
    return read_text_file(path, 1 << 24);
  }
  // What a trainer logs in one step.
  static void log_step(MetricsWriter& writer, std::int64_t step) {
    const Metric metrics[] = {{"loss", 1.0f / static_cast<float>(step)},
                              {"learning_rate", 1e-3 * static_cast<double>(step)},
                              {"num_tokens", step * 1000}};
    writer.log(step, metrics);
    const Metric timing[] = {{"step_time", 0.25}};
    writer.log_timing(step, timing);
    const SampleCompletion samples[] = {
        {"1+1?", "<think>one\nmore</think>", {{"accuracy", 1.0}, {"format", 0.5}}, -0.7}};
    writer.log_completions(step, samples);
  }

  RunDirectory run_;
};

TEST_F(Metrics, RowsAreOneObjectALineInTheOrderGiven) {
  MetricsWriter writer(run_);
  const Metric metrics[] = {{"zeta", 0.1f},
                            {"alpha", 0.1},
                            {"third", 1.0 / 3},
                            {"tokens", std::size_t{9007199254740993}},
                            {"tiny", 1e-300},
                            {"whole", 2.0f},
                            {"na\"me", -0.0},
                            {"nan", std::nan("")},
                            {"inf", std::numeric_limits<float>::infinity()}};
  writer.log(12, metrics);
  EXPECT_EQ(content(run_.metrics()),
            "{\"step\":12,\"zeta\":0.1,\"alpha\":0.1,\"third\":0.3333333333333333,"
            "\"tokens\":9007199254740993,\"tiny\":1e-300,\"whole\":2,\"na\\\"me\":-0,"
            "\"nan\":null,\"inf\":null}\n");
  EXPECT_TRUE(nlohmann::json::accept(content(run_.metrics())));
}

TEST_F(Metrics, FloatsReadBackToTheSameBits) {
  for (std::uint32_t bits = 1; bits < 0x7F800000u; bits = bits * 3 / 2 + 1) {
    const float value = std::bit_cast<float>(bits);
    EXPECT_EQ(std::strtof(Metric("x", value).json().c_str(), nullptr), value);
  }
}

TEST_F(Metrics, AResumedRunLeavesTheSameBytes) {
  double time = 100;
  const auto clock = [&time] { return time += 1; };
  {
    MetricsWriter writer(run_, {}, clock);
    for (std::int64_t step = 1; step <= 6; ++step) log_step(writer, step);
  }
  const std::string metrics = content(run_.metrics());
  const std::string completions = content(run_.completions());
  const std::string timing = content(run_.timing());

  // Killed in step 5, mid-row, after a checkpoint at step 3.
  {
    MetricsWriter writer(run_, {}, clock);
    for (std::int64_t step = 1; step <= 4; ++step) log_step(writer, step);
  }
  AppendFile(run_.metrics()).append("{\"step\":5,\"lo");
  AppendFile(run_.completions()).append("{\"step\":5}");
  {
    MetricsWriter writer(run_, 3, clock);
    for (std::int64_t step = 4; step <= 6; ++step) log_step(writer, step);
    writer.sync();
  }
  EXPECT_EQ(content(run_.metrics()), metrics);
  EXPECT_EQ(content(run_.completions()), completions);
  EXPECT_EQ(content(run_.timing()), timing);
}

TEST_F(Metrics, ANewRunStartsEmpty) {
  {
    MetricsWriter writer(run_);
    log_step(writer, 0);
  }
  { MetricsWriter writer(run_); }
  EXPECT_EQ(content(run_.metrics()), "");
  EXPECT_EQ(content(run_.completions()), "");
}

TEST_F(Metrics, CompletionsKeepTheirTextsAndSurviveBrokenUtf8) {
  MetricsWriter writer(run_);
  const SampleCompletion samples[] = {
      {"用户: 3 个?", "line\n\"quoted\" \xE6\x80", {{"accuracy", 1}}, 0.5}};
  writer.log_completions(4, samples);
  const auto row = nlohmann::json::parse(content(run_.completions()));
  EXPECT_EQ(row["step"], 4);
  EXPECT_EQ(row["prompt"], "用户: 3 个?");
  EXPECT_EQ(row["completion"], "line\n\"quoted\" \xEF\xBF\xBD");
  EXPECT_EQ(row["rewards"]["accuracy"], 1);
  EXPECT_EQ(row["advantage"], 0.5);
}

TEST_F(Metrics, AFullDiskIsAnErrorAndLeavesWholeRows) {
  MetricsWriter writer(run_);
  log_step(writer, 1);
  const std::string before = content(run_.metrics());

  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{before.size() + 5, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message;
  try {
    const Metric metrics[] = {{"loss", 0.125}};
    writer.log(2, metrics);
  } catch (const Error& e) {
    message = e.what();
  }
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, HasSubstr("metrics.jsonl: cannot write"));
  EXPECT_EQ(content(run_.metrics()), before);
}

TEST_F(Metrics, ADirectoryThatCannotBeMadeIsAnError) {
  EXPECT_THROW(MetricsWriter(RunDirectory("/proc/none/run")), Error);
}

TEST(CompletionsTable, FitsTheTerminalWithWideAndDangerousText) {
  const SampleCompletion samples[] = {
      {"What is 2 + 3 * 4?",
       "<think>3 * 4 = 12, then 2 + 12 = 14</think>\n<answer>14</answer>",
       {{"accuracy", 1.0}, {"format", 1.0}},
       1.25},
      {"求最大公约数",
       "思考思考思考思考思考思考思考思考思考思考\x1b[2J",
       {{"accuracy", 0.0}, {"format", 0.0}},
       -0.5}};
  const std::string table = completions_table(30, samples, 80);
  std::size_t lines = 0;
  std::string_view rest = table;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    if (lines++ == 0) {
      EXPECT_EQ(line, "step 30");
    } else {
      EXPECT_EQ(display_width(line), 80u) << line;
    }
  }
  EXPECT_GT(lines, 8u);
  EXPECT_THAT(table, HasSubstr("+1.25"));
  EXPECT_THAT(table, HasSubstr("accuracy"));
  EXPECT_EQ(table.find('\x1b'), std::string::npos);
  EXPECT_EQ(completions_table(1, {}, 80), "");
}

}  // namespace
}  // namespace r1::train
