#include "base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <limits>

namespace r1 {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Runs `work` on a Progress that writes into a pipe, under a clock that `work` moves.
class ProgressTest : public ::testing::Test {
 protected:
  ProgressTest() { EXPECT_EQ(::pipe(pipe_.data()), 0); }
  ~ProgressTest() override {
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }
  ProgressOptions options(bool terminal) {
    ProgressOptions o;
    o.fd = pipe_[1];
    o.terminal = terminal;
    o.width = 100;
    o.clock = [this] { return now_; };
    return o;
  }
  std::string output() {
    ::close(pipe_[1]);
    std::string text;
    std::array<char, 4096> buffer;
    for (ssize_t n; (n = ::read(pipe_[0], buffer.data(), buffer.size())) > 0;) {
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return text;
  }
  std::array<int, 2> pipe_{};
  double now_ = 1000;
};

TEST(FormatDuration, ReadsAsAClock) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(723), "12:03");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(2 * 86400 + 3723), "2d 01:02:03");
  EXPECT_EQ(format_duration(-1), "--:--");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "--:--");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::quiet_NaN()), "--:--");
}

TEST_F(ProgressTest, PlainLinesComeAtMostEveryFiveSeconds) {
  {
    Progress progress("train", 100, options(false));
    for (int step = 1; step <= 100; ++step) {
      now_ += 0.5;
      progress.update(step, "loss 1.5");
    }
  }
  const std::string text = output();
  EXPECT_THAT(text, StartsWith("train: 10/100 steps (10%), 2.0 steps/s, 0:45 left, loss 1.5\n"));
  EXPECT_THAT(text, EndsWith("train: 100/100 steps (100%), 2.0 steps/s, loss 1.5\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 10);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST_F(ProgressTest, TheLastStateIsShownEvenBetweenTwoLines) {
  {
    Progress progress("train", 10, options(false));
    now_ += 1;
    progress.update(10);
  }
  EXPECT_EQ(output(), "train: 10/10 steps (100%), 10.0 steps/s\n");
}

TEST_F(ProgressTest, TheBarIsRedrawnInOneLineOfTheTerminal) {
  {
    auto o = options(true);
    o.width = 60;
    Progress progress("grpo", 200, o);
    now_ += 8;
    progress.update(2, "reward 0.123 length 456 and more than fits");
  }
  const std::string text = output();
  EXPECT_THAT(text, StartsWith("\r\x1b[Kgrpo ────────────────────────   1% 2/200 · 4.0 s/step"));
  EXPECT_THAT(text, EndsWith("…\n"));
}

TEST_F(ProgressTest, PrintKeepsTheBarWhole) {
  {
    Progress progress("p", 2, options(true));
    now_ += 1;
    progress.update(1);
    progress.print("hello");
  }
  EXPECT_THAT(output(), HasSubstr("\r\x1b[Khello\n\r\x1b[Kp ━━━━━━━━━━━━────"));
}

TEST_F(ProgressTest, AResumedRunMeasuresOnlyItsOwnWork) {
  {
    auto o = options(false);
    o.start = 900;
    Progress progress("train", 1000, o);
    now_ += 10;
    progress.update(910);
  }
  EXPECT_THAT(output(), HasSubstr("910/1000 steps (91%), 1.0 steps/s, 1:30 left"));
}

TEST_F(ProgressTest, TheRateForgetsTheDistantPast) {
  {
    Progress progress("train", 100000, options(false));
    now_ += 1000;  // a slow first step
    progress.update(1);
    for (int step = 2; step <= 1000; ++step) {
      now_ += 0.1;
      progress.update(step);
    }
  }
  EXPECT_THAT(output(), EndsWith("train: 1000/100000 steps (1%), 10.0 steps/s, 2:45:00 left\n"));
}

TEST_F(ProgressTest, ZeroTotalAndZeroTimeAreHarmless) {
  {
    Progress progress("p", 0, options(true));
    progress.update(0);
    progress.update(5);
  }
  EXPECT_THAT(output(), HasSubstr("-- steps/s"));
}

}  // namespace
}  // namespace r1
