#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <functional>
#include <vector>

#include "base/error.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "r1_file_test_XXXXXX").native();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      names.push_back(entry.path().filename().native());
    }
    std::ranges::sort(names);
    return names;
  }
  std::string content(const fs::path& path) const { return read_text_file(path, 1 << 24); }

  fs::path directory_;
};

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// While it lives, files cannot grow beyond `bytes`: the disk is full, as far as we can see.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit old_{};
};

TEST_F(FileTest, MapsWhatWasWritten) {
  const fs::path path = directory_ / "a";
  write_file_atomically(path, "hello");
  MappedFile file(path);
  EXPECT_EQ(file.bytes().size(), 5u);
  EXPECT_EQ(static_cast<char>(file.bytes()[1]), 'e');
  MappedFile moved = std::move(file);
  EXPECT_EQ(static_cast<char>(moved.bytes()[4]), 'o');
  EXPECT_TRUE(file.bytes().empty());  // NOLINT: moved-from is empty by contract
}

TEST_F(FileTest, MapsAnEmptyFile) {
  write_file_atomically(directory_ / "a", "");
  EXPECT_TRUE(MappedFile(directory_ / "a").bytes().empty());
}

TEST_F(FileTest, MappingErrorsNamePathAndReason) {
  const std::string missing = message_of([&] { MappedFile(directory_ / "none"); });
  EXPECT_THAT(missing, HasSubstr((directory_ / "none").native()));
  EXPECT_THAT(missing, HasSubstr("No such file"));
  EXPECT_THAT(message_of([&] { MappedFile{directory_}; }), HasSubstr("directory"));
  EXPECT_THAT(message_of([&] { MappedFile("/dev/null"); }), HasSubstr("not a regular file"));
}

TEST_F(FileTest, ReadsTextUpToTheLimit) {
  write_file_atomically(directory_ / "a", "12345");
  EXPECT_EQ(read_text_file(directory_ / "a", 5), "12345");
  EXPECT_THAT(message_of([&] { read_text_file(directory_ / "a", 4); }), HasSubstr("limit of 4"));
  EXPECT_THAT(message_of([&] { read_text_file("/dev/zero", 1 << 20); }), HasSubstr("limit"));
  EXPECT_THAT(message_of([&] { read_text_file(directory_, 4); }), HasSubstr("directory"));
}

TEST_F(FileTest, AppendsManyPiecesOfAllSizes) {
  std::string expected;
  AtomicFile file(directory_ / "a");
  for (std::size_t size : {1, 1000, 300'000, 0, 7, 262'144, 262'143, 1}) {
    const std::string piece(size, static_cast<char>('a' + size % 26));
    file.append(piece);
    expected += piece;
  }
  EXPECT_EQ(file.size(), expected.size());
  EXPECT_FALSE(fs::exists(directory_ / "a"));
  file.commit();
  EXPECT_EQ(content(directory_ / "a"), expected);
  EXPECT_THAT(entries(), testing::ElementsAre("a"));
}

TEST_F(FileTest, WithoutCommitTheOldContentStays) {
  write_file_atomically(directory_ / "a", "old");
  EXPECT_THROW(write_file_atomically(directory_ / "a",
                                     [](AtomicFile& file) {
                                       file.append("new");
                                       throw Error("x", "interrupted");
                                     }),
               Error);
  EXPECT_EQ(content(directory_ / "a"), "old");
  EXPECT_THAT(entries(), testing::ElementsAre("a"));
}

TEST_F(FileTest, AFullDiskLeavesTheOldContent) {
  const fs::path path = directory_ / "a";
  write_file_atomically(path, "old");
  std::string message;
  {
    const FileSizeLimit limit(100'000);
    message = message_of([&] { write_file_atomically(path, std::string(2'000'000, 'x')); });
  }
  EXPECT_THAT(message, HasSubstr(path.native() + ": cannot write: File too large"));
  EXPECT_EQ(content(path), "old");
  EXPECT_THAT(entries(), testing::ElementsAre("a"));
}

TEST_F(FileTest, RefusesWhatIsNotAFile) {
  EXPECT_THAT(message_of([&] { write_file_atomically(directory_, "x"); }), HasSubstr("directory"));
  EXPECT_THAT(message_of([&] { write_file_atomically("/dev/full", "x"); }),
              HasSubstr("not a regular file"));
  EXPECT_THAT(message_of([&] { write_file_atomically(directory_ / "no" / "a", "x"); }),
              HasSubstr("create its directory"));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(FileTest, LeftoversOfAKilledWriterAreRemovedButNotThoseOfALiveOne) {
  { std::ofstream(directory_ / ".a.tmp-1-0") << "of a process that was killed"; }
  AtomicFile other(directory_ / "a");
  EXPECT_EQ(entries().size(), 1u);  // the old one is gone, the new one is there
  other.append("first");
  write_file_atomically(directory_ / "a", "second");
  other.commit();
  EXPECT_EQ(content(directory_ / "a"), "first");
  EXPECT_THAT(entries(), testing::ElementsAre("a"));
}

TEST_F(FileTest, ADirectoryAppearsWhole) {
  AtomicDirectory writer(directory_ / "checkpoint");
  write_file_atomically(writer.path() / "a", "1");
  fs::create_directory(writer.path() / "sub");
  write_file_atomically(writer.path() / "sub" / "b", "2");
  EXPECT_FALSE(fs::exists(directory_ / "checkpoint"));
  writer.commit();
  EXPECT_EQ(content(directory_ / "checkpoint" / "sub" / "b"), "2");
  EXPECT_THAT(entries(), testing::ElementsAre("checkpoint"));
}

TEST_F(FileTest, ADirectoryIsReplaced) {
  for (const std::string text : {"old", "new"}) {
    AtomicDirectory writer(directory_ / "checkpoint/");
    write_file_atomically(writer.path() / text, text);
    writer.commit();
  }
  EXPECT_EQ(content(directory_ / "checkpoint" / "new"), "new");
  EXPECT_FALSE(fs::exists(directory_ / "checkpoint" / "old"));
  EXPECT_THAT(entries(), testing::ElementsAre("checkpoint"));
}

TEST_F(FileTest, AnAbandonedDirectoryLeavesTheOldOne) {
  fs::create_directory(directory_ / "checkpoint");
  write_file_atomically(directory_ / "checkpoint" / "a", "old");
  {
    AtomicDirectory writer(directory_ / "checkpoint");
    write_file_atomically(writer.path() / "a", "new");
  }
  EXPECT_EQ(content(directory_ / "checkpoint" / "a"), "old");
  EXPECT_THAT(entries(), testing::ElementsAre("checkpoint"));
}

TEST_F(FileTest, ADirectoryDoesNotReplaceAFile) {
  write_file_atomically(directory_ / "a", "x");
  EXPECT_THAT(message_of([&] { AtomicDirectory(directory_ / "a"); }), HasSubstr("Not a directory"));
}

// Writers are killed at arbitrary moments; the directory must hold the old or the new checkpoint,
// complete, at every one of them.
TEST_F(FileTest, AKilledWriterLeavesACompleteDirectory) {
  const auto write_checkpoint = [&](const std::string& text) {
    AtomicDirectory writer(directory_ / "checkpoint");
    write_file_atomically(writer.path() / "a", text);
    write_file_atomically(writer.path() / "b", text);
    writer.commit();
  };
  write_checkpoint("0");
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int i = 0;; ++i) write_checkpoint(std::to_string(i));
    }
    ::usleep(static_cast<useconds_t>(500 + 700 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ASSERT_EQ(content(directory_ / "checkpoint" / "a"), content(directory_ / "checkpoint" / "b"));
  }
  write_checkpoint("last");
  EXPECT_THAT(entries(), testing::ElementsAre("checkpoint"));
}

}  // namespace
}  // namespace r1
