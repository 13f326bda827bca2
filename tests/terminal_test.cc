// What a chat reads from its terminal.

#include "cli/terminal.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <string>

namespace r1::cli {
namespace {

// Standard input is a pipe meanwhile.
class Terminal : public testing::Test {
 protected:
  void SetUp() override {
    kept_ = dup(STDIN_FILENO);
    ASSERT_EQ(pipe(pipe_.data()), 0);
    dup2(pipe_[0], STDIN_FILENO);
  }
  void TearDown() override {
    dup2(kept_, STDIN_FILENO);
    for (const int descriptor : {kept_, pipe_[0], pipe_[1]}) close(descriptor);
  }

  void type(const std::string& text) {
    ASSERT_EQ(write(pipe_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  std::string line_;

 private:
  int kept_ = -1;
  std::array<int, 2> pipe_{-1, -1};
};

// The prompt is on the screen before the program waits: a Ctrl-C in between counts.
TEST_F(Terminal, ACtrlCFromBeforeTheWaitEndsIt) {
  Interrupt interrupt;
  LineReader reader(&interrupt);
  EXPECT_FALSE(interrupt.requested());
  raise(SIGINT);
  EXPECT_TRUE(interrupt.requested());
  type("1 + 1\n");  // so that a reader that missed it comes back, too
  EXPECT_EQ(reader.read(line_), LineReader::Result::kInterrupted);
  interrupt.clear();
  EXPECT_FALSE(interrupt.requested());
  EXPECT_EQ(reader.read(line_), LineReader::Result::kLine);
  EXPECT_EQ(line_, "1 + 1");
}

TEST_F(Terminal, LinesComeOneByOne) {
  const Interrupt interrupt;
  for (const Interrupt* noted : {&interrupt, static_cast<const Interrupt*>(nullptr)}) {
    LineReader reader(noted);
    type("one\n\ntwo");
    EXPECT_EQ(reader.read(line_), LineReader::Result::kLine);
    EXPECT_EQ(line_, "one");
    EXPECT_EQ(reader.read(line_), LineReader::Result::kLine);
    EXPECT_EQ(line_, "");
    type("\n");
    EXPECT_EQ(reader.read(line_), LineReader::Result::kLine);
    EXPECT_EQ(line_, "two");
  }
}

}  // namespace
}  // namespace r1::cli
