#include "serve/metrics/request_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "serve/accounts/accounts_test_file.h"

namespace r1::serve {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class RequestLogTest : public ::testing::Test {
 protected:
  std::vector<json> lines() const {
    std::vector<json> all;
    std::istringstream text(read_text_file(file_, 1 << 24));
    for (std::string line; std::getline(text, line);) all.push_back(json::parse(line));
    return all;
  }
  testing::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "requests.jsonl";
  testing::FakeTime time_;
};

TEST_F(RequestLogTest, TellsARequestWithoutItsTexts) {
  RequestRecord record;
  record.id = "req-1";
  record.key_id = "sk-r1-aaaaaaaa";
  record.endpoint = "/v1/chat/completions";
  record.model = "nano";
  record.status = 200;
  record.finish_reason = "stop";
  record.usage = {64, 36, 500, 400};
  record.total = 1.25;
  record.time_to_first_token = 0.0123456;
  record.prompt = "my secret question";
  record.reply = "a secret answer";
  time_.advance(62'007ms);
  RequestLog({.file = file_}, time_.clock()).write(record);
  ASSERT_EQ(lines().size(), 1u);
  const json line = lines()[0];
  EXPECT_EQ(line["time"], "2026-11-28T10:01:02.007Z");
  EXPECT_EQ(line["request_id"], "req-1");
  EXPECT_EQ(line["key"], "sk-r1-aaaaaaaa");
  EXPECT_EQ(line["prompt_tokens"], 100);
  EXPECT_EQ(line["cache_hit_tokens"], 64);
  EXPECT_EQ(line["reasoning_tokens"], 400);
  EXPECT_EQ(line["total_ms"], 1250.0);
  EXPECT_EQ(line["first_token_ms"], 12.346);
  EXPECT_FALSE(line.contains("error"));
  EXPECT_FALSE(line.contains("queue_ms"));
  EXPECT_THAT(read_text_file(file_, 10000), Not(HasSubstr("secret")));
}

TEST_F(RequestLogTest, KeepsTextsWhenAskedAndBoundsThem) {
  RequestRecord record;
  record.prompt = std::string(RequestLog::kMaxLoggedText - 1, 'x') + "思考";
  record.reply = "line\nbreak \x01 \xff \"quoted\"";
  RequestLog({.file = file_, .texts = true}).write(record);
  ASSERT_EQ(lines().size(), 1u);
  EXPECT_EQ(lines()[0]["prompt"].get<std::string>().substr(0, 3), "xxx");
  EXPECT_LT(lines()[0]["prompt"].get<std::string>().size(), RequestLog::kMaxLoggedText + 8);
  EXPECT_EQ(lines()[0]["reply"], "line\nbreak \x01 \uFFFD \"quoted\"");
}

TEST_F(RequestLogTest, LinesOfManyThreadsStayWhole) {
  {
    RequestLog log({.file = file_});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&log, t] {
        RequestRecord record;
        record.id = std::string(static_cast<std::size_t>(100 * t + 1), 'i');
        for (int i = 0; i < 100; ++i) log.write(record);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  RequestLog again({.file = file_});  // appends
  again.write({});
  EXPECT_EQ(lines().size(), 401u);
}

TEST_F(RequestLogTest, AFileThatCannotBeWrittenIsToldAtOnce) {
  EXPECT_THROW(RequestLog({.file = folder_ / "none/requests.jsonl"}), Error);
}

}  // namespace
}  // namespace r1::serve
