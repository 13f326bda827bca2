#include "train/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "train/metrics.h"

namespace r1::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class Report : public ::testing::Test {
 protected:
  Report() : root_(std::filesystem::path(::testing::TempDir()) / "r1_report_test") {
    std::filesystem::remove_all(root_);
  }
  ~Report() override { std::filesystem::remove_all(root_); }

  std::filesystem::path make_run(const std::string& name, double accuracy) {
    const RunDirectory run(root_ / name);
    MetricsWriter writer(run);
    for (std::int64_t step = 1; step <= 60; ++step) {
      std::vector<Metric> metrics = {{"loss", 0.5},
                                     {"entropy", 0.25f},
                                     {"rewards/accuracy/mean", accuracy},
                                     {"reward", 1.0},
                                     {"reward_std", 0.5},
                                     {"rewards/format/mean", 0.5},
                                     {"completions/mean_length", 100.0},
                                     {"num_tokens", 1000 * step},
                                     {"router/<load>", 1.5}};
      if (step % 20 == 0) metrics.push_back({"eval/accuracy", accuracy + 0.01});
      writer.log(step, metrics);
      const Metric timing[] = {{"step_time", 2.0}};
      writer.log_timing(step, timing);
      const SampleCompletion samples[] = {{"Q <i>" + std::to_string(step),
                                           "<think>hm</think> <script>alert(1)</script>",
                                           {{"accuracy", 1.0}},
                                           0.5}};
      if (step % 10 == 0) writer.log_completions(step, samples);
    }
    write_file_atomically(run.recipe(), std::string_view("stage: grpo # <recipe>\n"));
    return run.root();
  }
  std::string page(const std::vector<std::filesystem::path>& runs) {
    return read_text_file(write_report(runs, root_ / "out").front(), 1 << 24);
  }
  static std::string error_of(const std::filesystem::path& run) {
    try {
      read_run(run);
    } catch (const Error& e) {
      return e.what();
    }
    return "(no error)";
  }

  std::filesystem::path root_;
};

TEST_F(Report, ReadsWhatTheWriterWrote) {
  const LoggedRun run = read_run(make_run("zero", 0.75) / "");
  EXPECT_EQ(run.name, "zero");
  EXPECT_EQ(run.last_step(), 60);
  EXPECT_EQ(run.seconds, 120);
  EXPECT_EQ(run.metrics[0].name, "loss");
  EXPECT_THAT(run.find("entropy")->points, SizeIs(60));
  EXPECT_EQ(run.find("eval/accuracy")->points[1], (plot::Point{40, 0.76}));
  EXPECT_EQ(run.find("none"), nullptr);
  // Of the logged steps 10, 20, ..., 60 the first, the middle and the last.
  ASSERT_THAT(run.completions, SizeIs(3));
  EXPECT_EQ(run.completions[0].step, 10);
  EXPECT_EQ(run.completions[1].step, 30);
  EXPECT_EQ(run.completions[2].step, 60);
  EXPECT_EQ(run.completions[2].rewards[0].second, 1.0);
}

TEST_F(Report, ThePapersFiguresComeFirstAndNothingIsLost) {
  const std::vector<LoggedRun> runs = {read_run(make_run("zero", 0.75))};
  const auto panels = report_panels(runs);
  ASSERT_THAT(panels, SizeIs(6));
  EXPECT_EQ(panels[0].title, "Accuracy");
  ASSERT_THAT(panels[0].series, SizeIs(2));
  EXPECT_EQ(panels[0].series[0].label, "held-out");
  EXPECT_NE(panels[0].series[0].color, panels[0].series[1].color);
  EXPECT_EQ(panels[1].title, "Response length (tokens)");
  EXPECT_EQ(panels[2].title, "Entropy (nats per token)");
  EXPECT_EQ(panels[3].title, "Reward");
  EXPECT_THAT(panels[3].series, SizeIs(3));
  EXPECT_EQ(panels[5].title, "router/<load>");
}

TEST_F(Report, RunsAreToldApartByColour) {
  const std::vector<LoggedRun> runs = {read_run(make_run("a", 0.5)), read_run(make_run("b", 0.7))};
  const auto panels = report_panels(runs);
  ASSERT_THAT(panels[0].series, SizeIs(4));
  EXPECT_EQ(panels[0].series[0].label, "a · held-out");
  EXPECT_EQ(panels[0].series[1].label, "b · held-out");
  EXPECT_EQ(panels[0].series[1].color, panels[0].series[3].color);
  EXPECT_NE(panels[0].series[0].color, panels[0].series[1].color);
  EXPECT_TRUE(panels[0].series[3].dashed);
  EXPECT_THAT(panels[3].series, SizeIs(4));  // the third metric moves to a chart of its own
  EXPECT_EQ(panels[5].title, "reward_std");
  EXPECT_EQ(panels[2].series[1].label, "b");  // one metric: the run's name says it all
}

TEST_F(Report, ThePageIsWholeEscapedAndRepeatable) {
  const auto run = make_run("zero", 0.75);
  const std::string html = page({run});
  for (const char* part : {"<!doctype html>", "Response length", "75.0%", "2:00", "60k", "Step 60",
                           "stage: grpo # &lt;recipe&gt;", "&lt;script&gt;", "&lt;i&gt;60"}) {
    EXPECT_TRUE(html.find(part) != std::string::npos) << part;
  }
  // Nothing of the texts is markup, and nothing is fetched from elsewhere.
  for (const char* part :
       {"<script", "<i>", "<load>", "src=", "href=", "url(", "@import", "http"}) {
    EXPECT_TRUE(html.find(part) == std::string::npos) << part;
  }
  EXPECT_EQ(page({run}), html);
  EXPECT_TRUE(std::filesystem::exists(root_ / "out" / "curves.svg"));
  EXPECT_TRUE(std::filesystem::exists(root_ / "out" / "summary.svg"));
}

TEST_F(Report, RunsOfTheSameNameAreNamedByPath) {
  const std::string html = page({make_run("x/run", 0.5), make_run("y/run", 0.6)});
  EXPECT_THAT(html, AllOf(HasSubstr("x/run"), HasSubstr("y/run")));
}

TEST_F(Report, ARunInProgressMayEndInATornLine) {
  const auto run = make_run("zero", 0.75);
  AppendFile(RunDirectory(run).metrics()).append("{\"step\":61,\"lo");
  EXPECT_EQ(read_run(run).last_step(), 60);
}

TEST_F(Report, BadFilesAreErrorsWithALine) {
  const auto run = make_run("zero", 0.75);
  const auto metrics = RunDirectory(run).metrics();
  const auto with = [&](const std::string& text) {
    write_file_atomically(metrics, std::string_view(text));
    return error_of(run);
  };
  EXPECT_THAT(with("{\"step\":1}\nnonsense\n"), HasSubstr("metrics.jsonl:2: not a JSON object"));
  EXPECT_THAT(with("[1]\n"), HasSubstr("not a JSON object"));
  EXPECT_THAT(with("{\"loss\":1}\n"), HasSubstr("no integer \"step\""));
  EXPECT_THAT(with("{\"step\":\"1\"}\n"), HasSubstr("no integer \"step\""));
  EXPECT_THAT(with(std::string(kMaxReportLine + 1, ' ') + "\n"), HasSubstr("too long"));
  EXPECT_THAT(with(std::string(500000, '[') + "\n"), HasSubstr("not a JSON object"));
  std::string many = "{\"step\":1";
  for (std::size_t i = 0; i <= kMaxReportMetrics; ++i) many += fmt::format(",\"m{}\":1", i);
  EXPECT_THAT(with(many + "}\n"), HasSubstr("more than 500 metrics"));
  EXPECT_THAT(error_of(root_ / "none"), HasSubstr("not a training run"));
}

TEST_F(Report, AnEmptyRunStillMakesAPage) {
  const RunDirectory run(root_ / "empty");
  { MetricsWriter writer(run); }
  EXPECT_THAT(page({run.root()}), HasSubstr("<h1>empty</h1>"));
  const Metric nothing[] = {{"loss", std::numeric_limits<double>::quiet_NaN()}};
  MetricsWriter(run).log(1, nothing);
  EXPECT_THAT(page({run.root()}), Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace r1::train
