#include "serve/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <thread>
#include <vector>

namespace r1::serve {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The value of a series, as a scraper reads it; none if it is not there.
std::optional<double> value(const Metrics& metrics, const std::string& series) {
  std::istringstream lines(metrics.text());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  }
  return std::nullopt;
}

constexpr const char* kLabels = R"({engine="0",model_name="nano"})";

std::string of_nano(const std::string& name) { return name + kLabels; }

RequestRecord answered() {
  RequestRecord record;
  record.id = "req-1";
  record.endpoint = "/v1/chat/completions";
  record.model = "nano";
  record.status = 200;
  record.finish_reason = "stop";
  record.usage = {64, 36, 500, 400};
  record.max_tokens = 1000;
  record.total = 3.5;
  record.queue = 0.5;
  record.prefill = 0.25;
  record.decode = 2.5;
  record.time_to_first_token = 0.75;
  return record;
}

TEST(Metrics, CountRequestsUnderTheNamesOfVllm) {
  Metrics metrics;
  metrics.model("nano");
  metrics.finished(answered());
  metrics.finished(answered());
  EXPECT_EQ(value(metrics, of_nano("vllm:prompt_tokens_total")), 200);
  EXPECT_EQ(value(metrics, of_nano("vllm:generation_tokens_total")), 1000);
  EXPECT_EQ(value(metrics, of_nano("vllm:prefix_cache_queries_total")), 200);
  EXPECT_EQ(value(metrics, of_nano("vllm:prefix_cache_hits_total")), 128);
  EXPECT_EQ(value(metrics, of_nano("r1:thinking_tokens_total")), 800);
  EXPECT_EQ(
      value(metrics,
            R"(vllm:request_success_total{engine="0",finished_reason="stop",model_name="nano"})"),
      2);
  EXPECT_EQ(value(metrics, of_nano("vllm:e2e_request_latency_seconds_count")), 2);
  EXPECT_EQ(value(metrics, of_nano("vllm:time_to_first_token_seconds_sum")), 1.5);
  EXPECT_EQ(value(metrics, of_nano("vllm:request_inference_time_seconds_sum")), 5.5);
  EXPECT_EQ(value(metrics, R"(r1:requests_total{endpoint="/v1/chat/completions",status="200"})"),
            2);
}

TEST(Metrics, BucketsIncludeTheirUpperBound) {
  Metrics metrics;
  ModelMetrics& model = metrics.model("nano");
  model.token_after(0.01);
  model.token_after(0.011);
  model.token_after(1000);
  const auto bucket = [&](const char* bound) {
    return value(
        metrics,
        std::string(
            R"(vllm:inter_token_latency_seconds_bucket{engine="0",model_name="nano",le=")") +
            bound + "\"}");
  };
  EXPECT_EQ(bucket("0.005"), 0);
  EXPECT_EQ(bucket("0.01"), 1);
  EXPECT_EQ(bucket("0.025"), 2);
  EXPECT_EQ(bucket("80"), 2);
  EXPECT_EQ(bucket("+Inf"), 3);
}

TEST(Metrics, RefusedRequestsAreCountedByCodeAndMakeNoTokens) {
  Metrics metrics;
  metrics.model("nano");
  RequestRecord refused;
  refused.endpoint = "/v1/completions";
  refused.status = 429;
  refused.error = "rate_limit_exceeded";
  refused.model = "nano";
  metrics.finished(refused);
  refused.model = "a name that some client made up";
  metrics.finished(refused);
  EXPECT_EQ(value(metrics, R"(r1:requests_total{endpoint="/v1/completions",status="429"})"), 2);
  EXPECT_EQ(value(metrics, R"(r1:errors_total{code="rate_limit_exceeded"})"), 2);
  EXPECT_EQ(value(metrics, of_nano("vllm:e2e_request_latency_seconds_count")), 0);
  EXPECT_THAT(metrics.text(), Not(HasSubstr("made up")));
}

TEST(Metrics, TotalsOfAnEngineGrowAlsoAcrossItsRestart) {
  Metrics metrics;
  ModelMetrics& model = metrics.model("nano");
  model.update({.running = 3,
                .waiting = 7,
                .pages = 100,
                .used_pages = 25,
                .cached_pages = 40,
                .preemptions = 5,
                .drafts = 10,
                .draft_tokens = 40,
                .accepted_tokens = 30});
  model.update(
      {.pages = 100, .preemptions = 6, .drafts = 11, .draft_tokens = 44, .accepted_tokens = 31});
  EXPECT_EQ(value(metrics, of_nano("vllm:num_preemptions_total")), 6);
  model.update({.running = 1, .waiting = 2, .pages = 100, .used_pages = 25, .preemptions = 2});
  EXPECT_EQ(value(metrics, of_nano("vllm:num_preemptions_total")), 8);
  EXPECT_EQ(value(metrics, of_nano("vllm:spec_decode_num_accepted_tokens_total")), 31);
  EXPECT_EQ(value(metrics, of_nano("vllm:num_requests_running")), 1);
  EXPECT_EQ(value(metrics, of_nano("vllm:num_requests_waiting")), 2);
  EXPECT_EQ(value(metrics, of_nano("vllm:kv_cache_usage_perc")), 0.25);
}

TEST(Metrics, ManyThreadsLoseNothing) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        metrics.model("nano").token_after(0.01);
        metrics.finished(answered());
        if (i % 100 == 0) (void)metrics.text();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(value(metrics, of_nano("vllm:inter_token_latency_seconds_count")), 2000);
  EXPECT_EQ(value(metrics, of_nano("vllm:prompt_tokens_total")), 200'000);
}

// The grammar of the exposition format 0.0.4, as far as we use it.
TEST(Metrics, TheTextIsWellFormed) {
  Metrics metrics;
  metrics.model("a \"quoted\" \\ name\n").charged(Money::parse("0.25", ""), "USD");
  metrics.connections(3);
  metrics.finished(answered());
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr(R"(model_name="a \"quoted\" \\ name\n")"));
  EXPECT_TRUE(text.ends_with('\n'));
  std::istringstream lines(text);
  std::set<std::string> declared;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      const std::string name = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(declared.insert(name).second) << name << " is declared twice";
    } else if (!line.starts_with("# HELP ")) {
      EXPECT_NO_THROW((void)std::stod(line.substr(line.rfind(' ')))) << line;
    }
  }
  EXPECT_TRUE(declared.contains("vllm:time_to_first_token_seconds"));
  EXPECT_EQ(value(metrics, "r1:connections"), 3);
}

}  // namespace
}  // namespace r1::serve
